"""Runs the checks' application on uvicorn, beside the gRPC server of the same process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterator
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chassis.errors import ServiceUnavailable
from chassis.identity import SPIFFE_PREFIX
from edge.authz.app import AuthzApp
from edge.authz.config import AuthzSettings
from edge.authz.store import AuthzStore

LOG = logging.getLogger(__name__)
PRUNE_EVERY_S = 30.0
EDGE_NAME = ("URI", SPIFFE_PREFIX + "edge")


class HttpServer:
    """Serves the checks with mutual TLS, and forgets old nonces meanwhile."""

    def __init__(self, settings: AuthzSettings, app: AuthzApp, store: AuthzStore) -> None:
        host, _, port = settings.http_listen.rpartition(":")
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=int(port),
                loop="none",
                http=_EdgeOnlyProtocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=120,  # longer than Envoy keeps an idle connection
                ssl_certfile=str(settings.tls_certificate),
                ssl_keyfile=str(settings.tls_key),
                ssl_ca_certs=str(settings.tls_ca),
                ssl_cert_reqs=ssl.CERT_REQUIRED,
            )
        )
        self._store = store
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen."""
        self._tasks = [
            asyncio.create_task(self._server.serve(), name="authz http"),
            asyncio.create_task(self._prune(), name="prune nonces"),
        ]
        while not self._server.started:
            if self._tasks[0].done():
                await self._tasks[0]
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Answer what was asked, then close."""
        self._server.should_exit = True
        self._tasks[1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY_S)
            try:
                await self._store.prune_nonces()
            except ServiceUnavailable:
                LOG.warning("nonces were not pruned")


class _EdgeOnlyProtocol(HttpToolsProtocol):
    """HTTP for the edge: others with a certificate of the mesh are hung up on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at who connects."""
        certificate = transport.get_extra_info("peercert") or {}
        super().connection_made(cast("asyncio.Transport", transport))
        if EDGE_NAME not in certificate.get("subjectAltName", ()):
            LOG.warning("hung up on a stranger", extra={"subject": certificate.get("subject")})
            transport.close()


class _Server(uvicorn.Server):
    """Leaves signals to the process's own server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
