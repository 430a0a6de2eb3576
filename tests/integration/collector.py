"""A collector of spans, as the mesh has one: OTLP over gRPC with mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.integration.authz_client import free_port


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what is exported to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._spans: list[tuple[str, trace_pb2.Span]] = []

    async def Export(  # noqa: N802 the contract's name
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: Any,  # noqa: ARG002 gRPC gives it
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep the spans with the name of their service."""
        for resource in request.resource_spans:
            names = {row.key: row.value.string_value for row in resource.resource.attributes}
            for scope in resource.scope_spans:
                self._spans += [(names["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    async def trace(self, trace_id: str, *services: str) -> list[tuple[str, trace_pb2.Span]]:
        """Return a trace's spans with their services, as soon as each of these has sent some."""
        while True:
            found = [row for row in self._spans if row[1].trace_id.hex() == trace_id]
            if {name for name, _ in found} >= set(services):
                return found
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running_collector(tls: Path) -> AsyncIterator[Collector]:
    """Run a collector with the certificate that the edge and the services expect."""
    collector = Collector(free_port())
    server = grpc.aio.server()
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(collector, server)
    key, certificate = (tls / "collector.key").read_bytes(), (tls / "collector.crt").read_bytes()
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], (tls / "ca.crt").read_bytes(), require_client_auth=True
    )
    server.add_secure_port(f"127.0.0.1:{collector.port}", credentials)
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(1)
