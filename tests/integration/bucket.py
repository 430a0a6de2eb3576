"""A bucket on an S3-compatible server that checks signatures, and who puts files into it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.integration.authz_client import free_port

NAME = "clearing"
PREFIX = "inbox/"
REGION = "us-east-1"
START_S_MAX = 30.0
READER_MAY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
SETTING_UP = 4  # requests that need no key: the bucket, the user, what it may, its key


@dataclass
class Bucket:
    """A running server with one bucket. log: the requests that it had."""

    endpoint: str
    log: Path
    key_id: str = ""
    secret: str = ""

    @property
    def url(self) -> str:
        return f"s3://{NAME}/{PREFIX}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what obstore reads."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def put(self, name: str, raw: bytes, prefix: str = PREFIX) -> None:
        """Put a file into the bucket, over one of its name."""
        self.client("s3").put_object(Bucket=NAME, Key=prefix + name, Body=raw)

    def empty(self) -> None:
        """Take all files away."""
        client = self.client("s3")
        for found in client.list_objects_v2(Bucket=NAME).get("Contents", ()):
            client.delete_object(Bucket=NAME, Key=found["Key"])

    def reads(self, name: str) -> int:
        """Return how often a part of a file was asked for."""
        return self.log.read_text().count(f"GET /{NAME}/{PREFIX}{name} ")

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key_id or "none",
            aws_secret_access_key=self.secret or "none",
        )


@contextmanager
def running_bucket(folder: Path) -> Iterator[Bucket]:
    """Run a server with a bucket, and a key for it."""
    port = free_port()
    log = folder / "bucket.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", f"{port}"],
            stdout=output,
            stderr=output,
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": f"{SETTING_UP}"},
        )
    try:
        _wait(port)
        bucket = Bucket(f"http://127.0.0.1:{port}", log)
        bucket.client("s3").create_bucket(Bucket=NAME)
        users = bucket.client("iam")
        users.create_user(UserName="recon")
        users.put_user_policy(
            UserName="recon", PolicyName="inbox", PolicyDocument=json.dumps(READER_MAY)
        )
        key = users.create_access_key(UserName="recon")["AccessKey"]
        bucket.key_id, bucket.secret = key["AccessKeyId"], key["SecretAccessKey"]
        yield bucket
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
