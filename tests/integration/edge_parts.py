"""Envoy before edge/authz and a service that fails on demand, as tests of the edge need them."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from grpc_health.v1 import health, health_pb2
from paymesh.intent.v1 import (
    payment_intent_pb2,
    payment_intent_service_pb2,
    payment_intent_service_pb2_grpc,
)

from chassis.errors import ParameterInvalid, ServiceUnavailable
from chassis.idempotency import mark_replayed
from chassis.identity import Context, current_caller, server_credentials
from chassis.server import EDGE, Service, build_server, only
from sandbox.platform import envoy
from tests.integration.authz_client import Answer, Keys, free_port
from tests.integration.settings import settings_of

INTENTS = "paymesh.intent.v1.PaymentIntentService"
CARD_NUMBER = "4242424242424242"
WAIT_S_MAX = 30.0
ENDPOINT = """\
        - endpoint:
            address: {{socket_address: {{address: "127.0.0.1", port_value: "{port}"}}}}
"""


def one_error(content: bytes) -> dict[str, str]:
    """Return the error object, after checking that the body is the one error body."""
    body = json.loads(content)
    assert list(body) == ["error"], body
    error: dict[str, str] = body["error"]
    assert set(error) - {"param"} == {"type", "code", "message", "requestId"}, error
    assert all(isinstance(value, str) and value for value in error.values()), error
    return error


async def until(holds: Callable[[], bool]) -> None:
    """Return when this holds. Raises TimeoutError if it never does."""
    async with asyncio.timeout(WAIT_S_MAX):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


class ScriptedIntents(payment_intent_service_pb2_grpc.PaymentIntentServiceServicer):
    """Answers as the id or the description says, and remembers who asked.

    is_away: every call is refused as UNAVAILABLE, while the health check still passes.
    port, checks: where it listens, and what its health check says.
    """

    def __init__(self) -> None:
        self.callers: list[tuple[str, str]] = []
        self.metadata: list[dict[str, Any]] = []
        self.is_away = False
        self.port = 0
        self.checks = health.aio.HealthServicer()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the calls that are held go on; later ones are held again."""
        self._released.set()
        self._released = asyncio.Event()

    async def serve(self, *, healthy: bool) -> None:
        """Answer health checks with this; calls are answered either way."""
        answer = health_pb2.HealthCheckResponse
        await self.checks.set(INTENTS, answer.SERVING if healthy else answer.NOT_SERVING)

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
            case "pi_held":
                await self._released.wait()
        self._check_presence()
        return payment_intent_pb2.PaymentIntent(id=request.payment_intent_id)

    async def CreatePaymentIntent(  # noqa: N802 the contract's name
        self, request: payment_intent_service_pb2.CreatePaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Return an intent; or be away before anything was done."""
        self._remember(context)
        if request.description == "away":
            raise ServiceUnavailable("The database does not answer.")
        self._check_presence()
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

    def _check_presence(self) -> None:
        if self.is_away:
            raise ServiceUnavailable("The database does not answer.")

    def _remember(self, context: Context) -> None:
        caller = current_caller()
        self.callers.append((caller.merchant_id, caller.mode))
        self.metadata.append(dict(context.invocation_metadata() or ()))


@dataclass(frozen=True, slots=True)
class Edge:
    """A running Envoy, and what stands behind it."""

    url: str
    admin_url: str
    metrics_url: str
    access_log: Path
    tls: Path
    keys: Keys
    services: Sequence[ScriptedIntents] = field(repr=False)

    @property
    def intents(self) -> ScriptedIntents:
        """Return the first service of the cluster."""
        return self.services[0]

    @property
    def address(self) -> str:
        """Return where it listens, as the names of its statistics have it."""
        return f"127.0.0.1_{self.url.rpartition(':')[2]}"

    def session(self) -> aiohttp.ClientSession:
        """Return a client that trusts this edge and keeps its connections."""
        trust = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))

    async def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> Answer:
        """Send exactly this, over a connection of its own unless a session is given."""
        if session is None:
            async with self.session() as own:
                return await self.send(method, path, content, headers, own)
        async with session.request(
            method, self.url + path, data=content or None, headers=headers
        ) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, await response.read())

    async def call(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        session: aiohttp.ClientSession | None = None,
        *,
        keys: Keys | None = None,
    ) -> Answer:
        """Send a signed request. keys: of another merchant than the edge's own."""
        signed = (keys or self.keys).signed(method, path, content) | (headers or {})
        return await self.send(method, path, content, signed, session)

    async def statistic(self, name: str) -> int:
        """Return one of Envoy's own counters or gauges; 0 if it never counted."""
        url = f"{self.admin_url}/stats?filter=^{re.escape(name)}$"
        text = (await asyncio.to_thread(_fetch, url)).decode()
        return int(text.rpartition(":")[2] or 0)

    async def clusters(self) -> list[dict[str, Any]]:
        """Return the clusters as Envoy has read them."""
        url = f"{self.admin_url}/config_dump?resource=static_clusters"
        found = json.loads(await asyncio.to_thread(_fetch, url))["configs"]
        return [each["cluster"] for each in found]

    async def until_statistic(self, name: str, holds: Callable[[int], bool]) -> None:
        """Return when this holds for a statistic. Raises TimeoutError if it never does."""
        async with asyncio.timeout(WAIT_S_MAX):
            while True:
                if holds(await self.statistic(name)):
                    return
                await asyncio.sleep(0.02)

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

    async def until_logged(self, text: str) -> None:
        """Return when the access log says this somewhere."""
        await until(lambda: text in self.access_log_text())

    def access_log_text(self) -> str:
        """Return the access log as far as it is written."""
        return self.access_log.read_text()


@asynccontextmanager
async def _intent_service(tls: Path) -> AsyncIterator[ScriptedIntents]:
    intents = ScriptedIntents()
    settings = settings_of("intent", tls)
    server, intents.checks = build_server(
        settings,
        [
            Service(
                INTENTS,
                lambda server: (
                    payment_intent_service_pb2_grpc.add_PaymentIntentServiceServicer_to_server(
                        intents, server
                    )
                ),
                only(
                    EDGE,
                    *("CreatePaymentIntent", "GetPaymentIntent", "ListPaymentIntents"),
                    *("CancelPaymentIntent", "CapturePaymentIntent"),
                ),
            )
        ],
    )
    intents.port = server.add_secure_port(settings.listen, server_credentials(settings))
    await server.start()
    await intents.serve(healthy=True)
    try:
        yield intents
    finally:
        await server.stop(1)


@asynccontextmanager
async def running_edge(
    tls: Path,
    folder: Path,
    authz_port: str,
    keys: Keys,
    *,
    services: int = 1,
    other_ports: Sequence[int] = (),
    replacing: Mapping[str, str] | None = None,
    collector_port: int | None = None,
) -> AsyncIterator[Edge]:
    """Run Envoy before edge/authz and one service; the other two are out of service.

    services: how many processes stand in for the one service.
    other_ports: where a test has started more of them.
    replacing: what else reads differently in the configuration.
    collector_port: where spans go; else nothing is there.
    """
    async with AsyncExitStack() as stack:
        intents = [await stack.enter_async_context(_intent_service(tls)) for _ in range(services)]
        ports = [*(service.port for service in intents), *other_ports]
        edge = Edge(
            f"https://localhost:{free_port()}",
            f"http://127.0.0.1:{free_port()}",
            f"http://127.0.0.1:{free_port()}",
            folder / "access.log",
            tls,
            keys,
            intents,
        )
        addresses = {"AUTHZ_PORT": authz_port, "COLLECTOR_PORT": collector_port or free_port()}
        command = _configure(edge, folder, addresses, ports, replacing or {})
        with (folder / "envoy.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
        try:
            await asyncio.wait_for(_until_ready(edge, len(ports)), WAIT_S_MAX)
            yield edge
        finally:
            process.terminate()
            process.wait(timeout=15)


def _configure(
    edge: Edge,
    folder: Path,
    addresses: Mapping[str, object],
    ports: Sequence[int],
    replacing: Mapping[str, str],
) -> Sequence[str]:
    """Write the edge's configuration for a test and return how to run it."""
    nobody = free_port()
    admin_port, metrics_port = (
        int(url.rpartition(":")[2]) for url in (edge.admin_url, edge.metrics_url)
    )
    values: dict[str, object] = {
        "EDGE_ADDRESS": "127.0.0.1",
        "EDGE_PORT": edge.url.rpartition(":")[2],
        "ADMIN_PORT": admin_port,
        "METRICS_PORT": metrics_port,
        "TLS_DIR": edge.tls,
        "ACCESS_LOG": edge.access_log,
        "INTENT_PORT": ports[0],
        "TXN_PORT": nobody,
        "WEBHOOK_PORT": nobody,
        "WEB_PORT": nobody,
        **addresses,
    }
    values |= {name.replace("_PORT", "_HOST"): "127.0.0.1" for name in values if "_PORT" in name}
    command = envoy.spec(folder, values, admin_port, metrics_port).command
    configuration = folder / "envoy.yaml"
    text = configuration.read_text()
    endpoints = "".join(ENDPOINT.format(port=port) for port in ports)
    for old, new in {ENDPOINT.format(port=ports[0]): endpoints, **replacing}.items():
        assert old in text, f"edge/envoy.yaml has no {old!r}"
        text = text.replace(old, new)
    configuration.write_text(text)
    return command


async def _until_ready(edge: Edge, services: int) -> None:
    while True:
        try:
            if await edge.statistic("cluster.intent.membership_healthy") == services:
                return
        except OSError:
            pass
        await asyncio.sleep(0.1)


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return bytes(answer.read())
