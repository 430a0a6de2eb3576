"""Runs an application of the edge on uvicorn, for Envoy alone, beside its process's gRPC server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chassis.certificates import keep_fresh, server_context
from chassis.config import MeshSettings
from chassis.identity import SPIFFE_PREFIX

LOG = logging.getLogger(__name__)
EDGE_NAME = ("URI", SPIFFE_PREFIX + "edge")


class HttpServer:
    """Serves an ASGI application with mutual TLS. listen: "host:port"."""

    def __init__(self, settings: MeshSettings, listen: str, app: Any) -> None:
        host, _, port = listen.rpartition(":")
        self._files = settings.certificate_files
        self._context = server_context(self._files)
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
                ssl_context_factory=lambda *_: self._context,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen."""
        self._renewing = keep_fresh(self._context, self._files)
        self._task = asyncio.create_task(self._server.serve(), name="http")
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Answer what was asked, then close."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._renewing is not None:
            self._renewing.cancel()


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
