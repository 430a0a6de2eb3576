"""Certificates that are renewed while servers and channels run: gRPC, HTTP, spans, Envoy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from cryptography import x509
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from chassis.certificates import (
    CHECK_S,
    CertificateFiles,
    RenewedChannel,
    keep_fresh,
    server_context,
    server_credentials,
)
from chassis.telemetry import CollectorExporter
from sandbox.platform.authority import LIFETIME, Authority, localhost
from sandbox.platform.certificates import mesh_authority
from tests.integration.authz_client import Authz
from tests.integration.collector import Collector
from tests.integration.edge_parts import Edge, running_edge, until

pytestmark = pytest.mark.integration

METHOD = "/paymesh.test.Echo/Echo"
SHORT = timedelta(seconds=2)
NAMES = {name: localhost(f"spiffe://paymesh/{name}") for name in ("server", "client")}


def _files(folder: Path, name: str) -> CertificateFiles:
    return CertificateFiles(folder / f"{name}.crt", folder / f"{name}.key", folder / "ca.crt")


def _serial(certificate: bytes) -> int:
    return x509.load_pem_x509_certificate(certificate).serial_number


class Echo:
    """A gRPC server that says who called, and holds the calls that ask for it."""

    def __init__(self) -> None:
        self.port = 0
        self.is_held = asyncio.Event()
        self.go_on = asyncio.Event()

    async def answer(
        self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> bytes:
        if request == b"hold":
            self.is_held.set()
            await self.go_on.wait()
        [certificate] = context.auth_context()["x509_pem_cert"]
        return str(_serial(certificate)).encode()

    @asynccontextmanager
    async def served(self, folder: Path) -> AsyncIterator[Echo]:
        server = grpc.aio.server()
        handler: Any = grpc.unary_unary_rpc_method_handler(self.answer)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("paymesh.test.Echo", {"Echo": handler})]
        )
        credentials = server_credentials(_files(folder, "server"))
        self.port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        yield self
        await server.stop(None)


def _channel(folder: Path, port: int, name: str = "client") -> RenewedChannel:
    return RenewedChannel(_files(folder, name), f"localhost:{port}", [])


async def _look_again() -> None:
    """Wait until channels and contexts look at their files again."""
    await asyncio.sleep(CHECK_S * 1.1)


async def test_calls_show_the_renewed_certificate_and_those_in_flight_end_well(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, NAMES, LIFETIME)
    authority.renew()
    first = _serial((tmp_path / "client.crt").read_bytes())
    async with Echo().served(tmp_path) as echo, _channel(tmp_path, echo.port) as channel:
        call = channel.unary_unary(METHOD)
        before = await call(b"")
        held = asyncio.ensure_future(call(b"hold"))
        await echo.is_held.wait()
        authority.renew()
        await _look_again()
        after = await call(b"")
        echo.go_on.set()
        in_flight = await held

    second = _serial((tmp_path / "client.crt").read_bytes())
    assert (before, in_flight, after) == (b"%d" % first, b"%d" % first, b"%d" % second)


async def test_no_call_fails_over_many_renewals_of_certificates_that_expire(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NAMES, 2 * SHORT)
    authority.renew()
    seen: set[bytes] = set()
    async with Echo().served(tmp_path) as echo, _channel(tmp_path, echo.port) as channel:
        call = channel.unary_unary(METHOD)
        async with asyncio.timeout(30):
            while len(seen) < 5:
                if authority.is_due:
                    authority.renew()
                seen.add(await call(b""))
                async with _channel(tmp_path, echo.port) as fresh:
                    await fresh.unary_unary(METHOD)(b"")


def _copied(folder: Path, files: CertificateFiles) -> CertificateFiles:
    """Return a copy of the files as they are now."""
    _, pem = files.read()
    copy = _files(folder, "kept")
    copy.certificate.write_bytes(pem.certificate)
    copy.key.write_bytes(pem.key)
    copy.ca.write_bytes(pem.ca)
    return copy


@pytest.mark.parametrize("expired", ["client", "server"])
async def test_an_expired_certificate_is_refused_by_either_side(
    tmp_path: Path, expired: str
) -> None:
    folder, old = tmp_path / "tls", tmp_path / "old"
    old.mkdir()
    Authority(folder, NAMES, SHORT).renew()
    kept = _copied(old, _files(folder, expired))
    await asyncio.sleep(SHORT.total_seconds() + 1.5)
    Authority(folder, NAMES, LIFETIME).renew()
    files = {name: kept if name == expired else _files(folder, name) for name in NAMES}
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files["server"]))
    await server.start()
    async with RenewedChannel(files["client"], f"localhost:{port}", []) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(METHOD)(b"")
    await server.stop(None)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_grpc_server_forgets_the_sessions_of_before_a_renewal(tmp_path: Path) -> None:
    Authority(tmp_path, NAMES, SHORT).renew()
    async with Echo().served(tmp_path) as echo:
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
        trust.set_alpn_protocols(["h2"])
        trust.maximum_version = ssl.TLSVersion.TLSv1_2  # where a refusal is part of the handshake
        _files(tmp_path, "client").load(trust)
        session, _ = await asyncio.to_thread(_connect, trust, echo.port, None)
        _, is_resumed = await asyncio.to_thread(_connect, trust, echo.port, session)
        await asyncio.sleep(SHORT.total_seconds() + 1.5)
        Authority(tmp_path, NAMES, LIFETIME).renew()
        with pytest.raises(OSError, match=r"EOF|ALERT|reset"):
            await asyncio.to_thread(_connect, trust, echo.port, session)

    assert is_resumed


def _connect(
    trust: ssl.SSLContext, port: int, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """Shake hands and return the session, and whether it is the one that was offered."""
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        trust.wrap_socket(raw, server_hostname="localhost", session=session) as made,
    ):
        return made.session, made.session_reused


async def _greeting(port: int, trust: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
    try:
        greeting = await reader.readexactly(5)
        assert not writer.get_extra_info("ssl_object").session.has_ticket
        return greeting
    finally:
        writer.close()


async def test_an_http_server_shows_what_was_renewed_and_refuses_what_expired(
    tmp_path: Path,
) -> None:
    Authority(tmp_path, NAMES, SHORT).renew()
    files = _files(tmp_path, "server")
    context = server_context(files)
    served: list[object] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer.get_extra_info("peercert"))
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    renewing = keep_fresh(context, files)
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    _files(tmp_path, "client").load(trust)
    try:
        await _greeting(port, trust)
        await asyncio.sleep(SHORT.total_seconds() + 1.5)
        Authority(tmp_path, NAMES, LIFETIME).renew()
        await _look_again()
        # The same context of the client still has the first certificate, and a session.
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await _greeting(port, trust)
        _files(tmp_path, "client").load(trust)
        await _greeting(port, trust)
    finally:
        renewing.cancel()
        server.close()

    assert len(served) == 2


async def test_spans_go_out_with_the_certificate_that_is_the_newest(
    tmp_path: Path, tls: Path, collector: Collector
) -> None:
    (tmp_path / "ca.key").write_bytes((tls / "ca.key").read_bytes())
    mesh_authority(tmp_path, SHORT).renew()
    exporter = CollectorExporter(_files(tmp_path, "txn"), f"localhost:{collector.port}")
    span = TracerProvider().get_tracer("test").start_span("renewed")
    span.end()
    await asyncio.sleep(SHORT.total_seconds() + 1.5)

    mesh_authority(tmp_path, LIFETIME).renew()
    result = await asyncio.to_thread(exporter.export, [cast("ReadableSpan", span)])
    exporter.shutdown()

    assert result is SpanExportResult.SUCCESS


async def test_envoy_shows_what_was_renewed(authz: Authz, tmp_path: Path, tls: Path) -> None:
    folder, edge_tls = tmp_path / "envoy", tmp_path / "tls"
    folder.mkdir()
    edge_tls.mkdir()
    for name in ("ca.key", "jwks.json"):
        (edge_tls / name).write_bytes((tls / name).read_bytes())
    authority = mesh_authority(edge_tls, LIFETIME)
    authority.renew()
    authz_port = authz.http_url.rpartition(":")[2]
    async with running_edge(edge_tls, folder, authz_port, await authz.new_keys()) as edge:
        assert (await edge.call("GET", "/payment-intents/pi_1")).status == 200
        first = await asyncio.to_thread(_public_serial, edge)
        authority.renew()
        public = _serial((edge_tls / "public.crt").read_bytes())
        await until(lambda: _public_serial(edge) == public)
        renewed = await edge.call("GET", "/payment-intents/pi_1")

    assert renewed.status == 200
    assert first != public


def _public_serial(edge: Edge) -> int:
    host, _, port = edge.url.removeprefix("https://").partition(":")
    pem = ssl.get_server_certificate((host, int(port)), ca_certs=str(edge.tls / "ca.crt"))
    return _serial(pem.encode())
