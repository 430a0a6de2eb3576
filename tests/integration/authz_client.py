"""What Envoy and the platform team ask of edge/authz, as a test asks it."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import psycopg
from paymesh.merchant.v1 import (
    api_key_rights_pb2,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    mode_pb2,
)

from sandbox.operator_access import operator_channel

ACCOUNT = merchant_service_pb2.BankAccountInput(
    account_holder="Lemon Shop Ltd",
    country="gb",
    currency="gbp",
    account_number="GB33BUKB20201555555555",
    routing_number="202015",
)
OPERATOR = "ana@paymesh.example"
BODY = b'{"amountInCents":1099,"currency":"usd"}'


@dataclass(frozen=True, slots=True)
class Keys:
    """A merchant's pair of keys."""

    id: str
    merchant_id: str
    publishable: str
    secret: str

    def signed(
        self, method: str, path: str, content: bytes = b"", *, nonce: str | None = None
    ) -> dict[str, str]:
        """Return the headers that sign a request."""
        timestamp = datetime.now(UTC).isoformat()
        nonce = nonce or str(uuid.uuid4())
        text = "\n".join([method, path, timestamp, nonce, hashlib.sha256(content).hexdigest()])
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {
            "Authorization": f"Bearer {self.publishable}",
            "X-Request-Timestamp": timestamp,
            "X-Request-Nonce": nonce,
            "X-Signature": f"sha256={digest}",
            "X-Request-Id": "req-1",
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check said."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def error(self) -> dict[str, str]:
        """Return the error object."""
        error: dict[str, str] = json.loads(self.content)["error"]
        return error


@dataclass(frozen=True, slots=True)
class Authz:
    """A running edge/authz."""

    tls: Path
    address: str
    http_url: str
    database_url: str

    def operator(self) -> grpc.aio.Channel:
        """Return a channel with the platform team's certificate."""
        return operator_channel(self.tls, self.address)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read rows of its database."""
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    async def new_keys(
        self,
        mode: mode_pb2.ModeEnum.Mode = mode_pb2.ModeEnum.test,
        *,
        rights: api_key_rights_pb2.ApiKeyRights | None = None,
        networks: Sequence[str] = (),
    ) -> Keys:
        """Take a merchant on. networks: where the keys may be used from, none for anywhere."""
        async with self.operator() as channel:
            stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
            created = await stub.CreateMerchant(
                merchant_service_pb2.CreateMerchantRequest(
                    name="Lemon Shop", country="gb", mcc="5411", bank_account=ACCOUNT
                ),
                timeout=5,
            )
            made = await stub.CreateApiKey(
                merchant_service_pb2.CreateApiKeyRequest(
                    merchant_id=created.merchant.id,
                    mode=mode,
                    requested_by=OPERATOR,
                    rights=rights,
                    networks=api_key_rights_pb2.ApiKeyNetworks(cidrs=networks)
                    if networks
                    else None,
                ),
                timeout=5,
            )
        key = made.api_key
        return Keys(key.id, key.merchant_id, key.publishable_key, made.secret_key)

    async def ask(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: Any = None,
        *,
        certificate: str = "edge",
    ) -> Answer:
        """Ask as Envoy asks whether a request may pass."""
        trust = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        trust.load_cert_chain(self.tls / f"{certificate}.crt", self.tls / f"{certificate}.key")
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.request(
                method, self.http_url + path, data=content or None, headers=headers
            ) as response,
        ):
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, await response.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
