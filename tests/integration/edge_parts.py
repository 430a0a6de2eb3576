"""Envoy before edge/authz and a service that fails on demand, as tests of the edge need them."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from paymesh.intent.v1 import (
    payment_intent_pb2,
    payment_intent_service_pb2,
    payment_intent_service_pb2_grpc,
)
from pydantic import SecretStr

from chassis.config import ServiceSettings
from chassis.errors import ParameterInvalid, ServiceUnavailable
from chassis.identity import current_caller, server_credentials
from chassis.server import Context, Service, build_server, mark_replayed
from sandbox.platform import envoy
from sandbox.state import ROOT
from tests.integration.authz_client import Answer, Keys, free_port

INTENTS = "paymesh.intent.v1.PaymentIntentService"
CARD_NUMBER = "4242424242424242"


class ScriptedIntents(payment_intent_service_pb2_grpc.PaymentIntentServiceServicer):
    """Answers as the id or the description says, and remembers who asked."""

    def __init__(self) -> None:
        self.callers: list[tuple[str, str, str]] = []
        self.metadata: list[dict[str, Any]] = []

    async def GetPaymentIntent(  # noqa: N802 the contract's name
        self, request: payment_intent_service_pb2.GetPaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Return the intent, or fail in the way that its id names."""
        self._remember(context)
        match request.payment_intent_id:
            case "pi_invalid":
                raise ParameterInvalid("The value is not good.", param="card.number")
            case "pi_crash":
                raise RuntimeError(CARD_NUMBER)
            case "pi_away":
                raise ServiceUnavailable("The card network does not answer.")
            case "pi_bare":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "inner detail")
        return payment_intent_pb2.PaymentIntent(id=request.payment_intent_id)

    async def CreatePaymentIntent(  # noqa: N802 the contract's name
        self, request: payment_intent_service_pb2.CreatePaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Return an intent; or be away before anything was done."""
        self._remember(context)
        if request.description == "away":
            raise ServiceUnavailable("The database does not answer.")
        if request.description == "again":
            await mark_replayed(context)
        return payment_intent_pb2.PaymentIntent(
            id="pi_new", amount_in_cents=request.amount_in_cents
        )

    async def ListPaymentIntents(  # noqa: N802 the contract's name
        self,
        request: payment_intent_service_pb2.ListPaymentIntentsRequest,  # noqa: ARG002 gRPC gives it
        context: Context,
    ) -> payment_intent_service_pb2.PaymentIntentList:
        """Return none."""
        self._remember(context)
        return payment_intent_service_pb2.PaymentIntentList()

    async def CancelPaymentIntent(  # noqa: N802 the contract's name
        self, request: payment_intent_service_pb2.CancelPaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Return the intent."""
        self._remember(context)
        return payment_intent_pb2.PaymentIntent(id=request.payment_intent_id)

    async def CapturePaymentIntent(  # noqa: N802 the contract's name
        self, request: payment_intent_service_pb2.CapturePaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Return the intent."""
        self._remember(context)
        return payment_intent_pb2.PaymentIntent(id=request.payment_intent_id)

    def _remember(self, context: Context) -> None:
        caller = current_caller()
        self.callers.append((caller.merchant_id, caller.mode, caller.request_id))
        self.metadata.append(dict(context.invocation_metadata() or ()))


@dataclass(frozen=True, slots=True)
class Edge:
    """A running Envoy, and what stands behind it."""

    url: str
    admin_url: str
    access_log: Path
    tls: Path
    keys: Keys
    intents: ScriptedIntents = field(repr=False)

    async def send(
        self, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send exactly this."""
        trust = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.request(
                method, self.url + path, data=content or None, headers=headers
            ) as response,
        ):
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, await response.read())

    async def call(
        self, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a signed request."""
        signed = self.keys.signed(method, path, content) | (headers or {})
        return await self.send(method, path, content, signed)

    async def raw(self, request: bytes) -> tuple[int, bytes]:
        """Send bytes of HTTP/1.1 that no client would send; return the status and the body."""
        trust = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        host, _, port = self.url.removeprefix("https://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trust)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def logged(self, request_ids: list[str]) -> list[dict[str, Any]]:
        """Return the access log's rows of these requests; Envoy writes about once a second."""
        while True:
            rows = {}
            for line in self.access_log_text().splitlines():
                row = json.loads(line)
                rows[row.get("request_id")] = row
            if rows.keys() >= set(request_ids):
                return [rows[request_id] for request_id in request_ids]
            await asyncio.sleep(0.1)

    def access_log_text(self) -> str:
        """Return the access log as far as it is written."""
        return self.access_log.read_text()


@asynccontextmanager
async def _intent_service(tls: Path, port: int) -> AsyncIterator[ScriptedIntents]:
    intents = ScriptedIntents()
    settings = ServiceSettings(
        service_name="intent",
        listen=f"127.0.0.1:{port}",
        metrics_listen="127.0.0.1:0",
        database_url=SecretStr("postgresql+psycopg://"),
        tls_certificate=tls / "intent.crt",
        tls_key=tls / "intent.key",
        tls_ca=tls / "ca.crt",
        jwks_file=tls / "jwks.json",
    )
    server, checks = build_server(
        settings,
        [
            Service(
                INTENTS,
                lambda server: (
                    payment_intent_service_pb2_grpc.add_PaymentIntentServiceServicer_to_server(
                        intents, server
                    )
                ),
            )
        ],
    )
    server.add_secure_port(settings.listen, server_credentials(settings))
    await server.start()
    await checks.set(INTENTS, 1)
    try:
        yield intents
    finally:
        await server.stop(1)


@asynccontextmanager
async def running_edge(tls: Path, folder: Path, authz_port: str, keys: Keys) -> AsyncIterator[Edge]:
    """Run Envoy before edge/authz and one service; the other two are out of service."""
    port, admin_port, intent_port, nobody = (free_port() for _ in range(4))
    values: dict[str, object] = {
        "EDGE_ADDRESS": "127.0.0.1",
        "EDGE_PORT": port,
        "ADMIN_PORT": admin_port,
        "TLS_DIR": tls,
        "DESCRIPTOR_SET": ROOT / "gen" / "api.binpb",
        "ACCESS_LOG": folder / "access.log",
        "AUTHZ_PORT": authz_port,
        "INTENT_PORT": intent_port,
        "TXN_PORT": nobody,
        "WEBHOOK_PORT": nobody,
    } | {f"{name}_HOST": "127.0.0.1" for name in ("AUTHZ", "INTENT", "TXN", "WEBHOOK")}
    spec = envoy.spec(folder, values, admin_port)
    async with _intent_service(tls, intent_port) as intents:
        with (folder / "envoy.log").open("wb") as log:
            process = subprocess.Popen(spec.command, stdout=log, stderr=log)  # noqa: ASYNC220
        try:
            running = Edge(
                f"https://localhost:{port}",
                f"http://127.0.0.1:{admin_port}",
                folder / "access.log",
                tls,
                keys,
                intents,
            )
            await asyncio.wait_for(_until_ready(running), 30)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=15)


async def _until_ready(edge: Edge) -> None:
    while True:
        try:
            if b"cluster.intent.membership_healthy: 1" in await asyncio.to_thread(
                _fetch, edge.admin_url + "/stats?filter=membership_healthy"
            ):
                return
        except OSError:
            pass
        await asyncio.sleep(0.1)


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return bytes(answer.read())
