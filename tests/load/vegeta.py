"""Drives vegeta: requests in, one result per request out. It is fetched and built by Go."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.load.requests import FOR, Request

KIND_BY_PATH = {"transactions": "charge", "card-tokens": "token"}
MODULE = "github.com/tsenart/vegeta/v12@v12.13.0"


@dataclass(frozen=True, slots=True)
class Attack:
    """Requests to send: `rate` per second, or as fast as `workers` at a time get answers."""

    requests: list[Request]
    seconds: int
    rate: int = 0
    workers: int = 256


@dataclass(frozen=True, slots=True)
class Result:
    """One answer. publishable_key: for whom an intent was created; empty on anything else.

    sent_at_s: Unix seconds.
    """

    kind: str
    sent_at_s: float
    publishable_key: str
    status: int
    latency_s: float
    body: Any

    @property
    def ok(self) -> bool:
        """Return whether the request was answered with 200."""
        return self.status == 200

    @property
    def answered_at_s(self) -> float:
        """Return when the answer was there, Unix seconds."""
        return self.sent_at_s + self.latency_s


class Vegeta:
    """Builds vegeta once and runs attacks."""

    def __init__(self, folder: Path, ca_file: Path) -> None:
        if shutil.which("go") is None:
            sys.exit("make bench needs Go, which builds the load generator vegeta")
        self._folder = folder
        self._ca_file = ca_file
        programs = Path.home() / ".cache" / "paymesh" / "bin"
        self._program = programs / "vegeta"
        if not self._program.exists():
            subprocess.run(
                ["go", "install", MODULE], check=True, env=os.environ | {"GOBIN": str(programs)}
            )

    def attack(self, attack: Attack, *, client: Path | None = None) -> list[Result]:
        """Send the requests and return the answers.

        client: a certificate to show, without its ending; its key lies beside it.
        """
        targets, binary = self._folder / "targets.json", self._folder / "results.bin"
        with targets.open("w") as file:
            for request in attack.requests:
                file.write(_target(request) + "\n")
        seconds = attack.seconds
        if attack.rate:
            seconds = min(seconds, len(attack.requests) // attack.rate)
        command = [
            *(str(self._program), "attack", "-format=json", "-lazy", f"-targets={targets}"),
            *(f"-root-certs={self._ca_file}", f"-output={binary}", "-timeout=60s"),
            *((f"-cert={client}.crt", f"-key={client}.key") if client else ()),
            *(f"-rate={attack.rate}", f"-duration={seconds}s", f"-max-workers={attack.workers}"),
            *(
                f"-workers={min(64, attack.workers)}",
                "-http2=false",
                f"-connections={attack.workers}",
            ),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and "no targets to attack" not in done.stderr:
            sys.exit(f"vegeta: {done.stderr}")
        return self._results(binary)

    def _results(self, binary: Path) -> list[Result]:
        encoded = subprocess.run(
            [str(self._program), "encode", "-to=json", str(binary)],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        rows = [json.loads(line) for line in encoded.splitlines()]
        # An attack that ran out of targets ends with one result that was never sent.
        rows = [row for row in rows if row["url"]]
        return [_result(row) for row in rows]


def _target(request: Request) -> str:
    return json.dumps(
        {
            "method": request.method,
            "url": request.url,
            "body": base64.b64encode(request.body).decode(),
            "header": {name: [value] for name, value in request.headers.items()},
        }
    )


def _result(row: dict[str, Any]) -> Result:
    content = base64.b64decode(row["body"] or "")
    resource = row["url"].rpartition("/")[2]
    kind = "read" if row["method"] == "GET" else KIND_BY_PATH.get(resource, "create")
    is_told = row["code"] == 200 and content != b""  # a check has no answer but its status
    body: Any = json.loads(content) if is_told else content.decode(errors="replace")
    is_created = kind == "create" and is_told
    return Result(
        kind=kind,
        sent_at_s=datetime.fromisoformat(row["timestamp"]).timestamp(),
        publishable_key=body["description"].removeprefix(FOR) if is_created else "",
        status=row["code"],
        latency_s=row["latency"] / 1e9,
        body=body,
    )
