"""The gRPC server of every service: start, identity, errors, health, drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis import spans, telemetry
from chassis.config import MeshSettings
from chassis.errors import (
    RENDERINGS,
    DomainError,
    error_body,
    error_details,
    public_error,
)
from chassis.identity import (
    SERVERS,
    Context,
    TokenVerifier,
    check_peer,
    server_credentials,
    set_caller,
)

LOG = logging.getLogger(__name__)
LIVENESS = "liveness"
MESSAGE_BYTES_MAX = 1_048_576
HEADERS_BYTES_MAX = 32_768  # gRPC refuses from 8 kB on at random, which a caller sees as a failure
EDGE = "edge"
ERROR_HEADER = "x-paymesh-error"

Behavior = Callable[[Any, Context], Awaitable[Any]]


class Background(Protocol):
    """A part that runs beside the server: a consumer, a connection pool."""

    async def start(self) -> None:
        """Begin; returns when it can do its work or keeps trying by itself."""

    async def stop(self) -> None:
        """End, finishing what was begun."""


@dataclass(frozen=True, slots=True)
class Service:
    """A gRPC service to serve, and who may call it.

    name: the full name, e.g. "paymesh.intent.v1.PaymentIntentService".
    add: adds the servicer to a server.
    callers: which services may call each method, e.g. {"CaptureAuthorization": {"intent"}}; nobody
        may call one that is not named. The edge calls on behalf of merchants, so a method with the
        edge among its callers demands the merchant's token.
    audience: for whom that token must be made: what came from a browser can't pass for a server's.
    """

    name: str
    add: Callable[[grpc.aio.Server], None]
    callers: Mapping[str, frozenset[str]]
    audience: str = SERVERS


def only(caller: str, *methods: str) -> dict[str, frozenset[str]]:
    """Return that these methods are for one caller: each has to be named, or nobody calls it."""
    return dict.fromkeys(methods, frozenset({caller}))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a service's main coroutine on uvloop.

    If the process crashes, no core file is left: its memory may hold cards and keys.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    uvloop.run(main)


async def serve(
    settings: MeshSettings, services: Sequence[Service], background: Sequence[Background] = ()
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: refuse new calls, finish those in flight."""
    server, checks = build_server(settings, services)
    for part in background:
        await part.start()
    server.add_secure_port(settings.listen, server_credentials(settings))
    await server.start()
    probes = await _serve_probes(settings.probe_listen, checks)
    for name in (*(service.name for service in services), LIVENESS, ""):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    _spare_the_collector()
    LOG.info("serving", extra={"listen": settings.listen})
    await _stop_signal()
    LOG.info("draining")
    await checks.enter_graceful_shutdown()
    await server.stop(settings.drain_s)
    for part in reversed(background):
        await part.stop()
    await probes.stop(None)
    LOG.info("stopped")


def build_server(
    settings: MeshSettings, services: Sequence[Service]
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """Return a server with these services, health and reflection, that listens nowhere yet."""
    interceptor = Interceptor(services, TokenVerifier(settings.jwks_file))
    server = grpc.aio.server(
        interceptors=[interceptor],
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_metadata_size", HEADERS_BYTES_MAX),
            ("grpc.max_concurrent_streams", 1000),
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ],
    )
    for service in services:
        service.add(server)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = [service.name for service in services]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    return server, checks


async def _serve_probes(listen: str, checks: health.aio.HealthServicer) -> grpc.aio.Server:
    """Serve the health of this process, and nothing else, to a kubelet, which can't speak TLS."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    if listen:
        server.add_insecure_port(listen)
    await server.start()
    return server


def _spare_the_collector() -> None:
    """Let Python look for cycles rarely: what start-up made stays, and requests make few."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


class Interceptor(grpc.aio.ServerInterceptor):
    """The outermost layer of every call: who calls, what is logged, what an error looks like."""

    def __init__(self, services: Sequence[Service], tokens: TokenVerifier) -> None:
        self._services = {service.name: service for service in services}
        self._tokens = tokens
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler inside ours; health and reflection are left alone."""
        method = handler_call_details.method
        if method in self._handlers:
            return self._handlers[method]
        handler = await continuation(handler_call_details)
        service = self._services.get(method.split("/")[1])
        if service is None or handler is None:
            return handler
        behavior = self._wrapped(method, service, cast("Behavior", handler.unary_unary))
        self._handlers[method] = grpc.unary_unary_rpc_method_handler(
            behavior,
            handler.request_deserializer,
            handler.response_serializer,
        )
        return self._handlers[method]

    def _wrapped(self, method: str, service: Service, inner: Behavior) -> Behavior:
        answered = {"method": method, "status": "OK"}
        name = method.removeprefix("/")
        callers = service.callers.get(method.rpartition("/")[2], frozenset())

        async def behavior(request: Any, context: Context) -> Any:
            metadata = dict(context.invocation_metadata() or ())
            with spans.server_span(name, metadata.get("traceparent")):
                return await answer(request, context, metadata)

        async def answer(request: Any, context: Context, metadata: dict[str, str | bytes]) -> Any:
            started_s = time.perf_counter()
            request_id = str(metadata.get("x-request-id") or uuid.uuid4())
            telemetry.request_id_var.set(request_id)
            try:
                check_peer(context, callers)
                if EDGE in callers:
                    self._identify(service, metadata)
                response = await inner(request, context)
            except DomainError as error:
                await _refuse(method, context, error, request_id)
            except grpc.aio.AbortError:
                raise
            except Exception:
                LOG.exception("unhandled exception", extra={"method": method})
                await _fail(method, context, request_id)
            else:
                telemetry.rpc_duration.record(time.perf_counter() - started_s, answered)
                return response

        return behavior

    def _identify(self, service: Service, metadata: dict[str, str | bytes]) -> None:
        authorization = str(metadata.get("authorization", ""))
        token = authorization.removeprefix("Bearer ")
        set_caller(self._tokens.verify(token, service.audience))


async def _refuse(method: str, context: Context, error: DomainError, request_id: str) -> None:
    status = RENDERINGS[error.kind].grpc_status
    telemetry.rpc_duration.record(0.0, {"method": method, "status": status.name})
    LOG.info("refused", extra={"method": method, "reason": error.reason, "param": error.param})
    spans.mark_failed(error.reason)
    await context.abort(
        status,
        error.message,
        (
            (ERROR_HEADER, public_error(error, request_id).decode()),
            ("grpc-status-details-bin", error_details(error)),
        ),
    )


async def _fail(method: str, context: Context, request_id: str) -> None:
    telemetry.rpc_duration.record(0.0, {"method": method, "status": "INTERNAL"})
    spans.mark_failed("INTERNAL")
    body = error_body("api_error", "internal_error", "An error occurred on our side.", request_id)
    await context.abort(
        grpc.StatusCode.INTERNAL, "internal error", ((ERROR_HEADER, body.decode()),)
    )
