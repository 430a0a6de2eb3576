"""Spans of a real gRPC server and a real database: the caller decides, no secret gets in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from chassis import spans
from chassis.errors import ResourceMissing
from chassis.identity import Context, channel, server_credentials
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from chassis.server import Service, build_server, only
from chassis.telemetry import JsonFormatter
from intent_svc.domain.payment_intent import PaymentIntent, begin_processing
from intent_svc.store.intents import IntentStore
from intent_svc.store.items import Change, Creation
from tests.fakes import FakeClock
from tests.integration.conftest import DatabaseServer
from tests.integration.owner import as_owner
from tests.integration.settings import database_and_settings, settings_of

pytestmark = pytest.mark.integration

CARD_NUMBER = "4111111111111111"
ECHO = "paymesh.test.v1.EchoService"
MERCHANT = MerchantId("mer_1")
HOLDER = TransactionId("txn_1")
SAMPLED = f"00-{0xA1:032x}-{0xB1:016x}-01"


async def _echo(request: bytes, context: Context) -> bytes:
    if request == b"missing":
        raise ResourceMissing("No such thing.")
    if request == b"crash":
        raise RuntimeError(CARD_NUMBER)
    return (spans.traceparent() or "").encode()


def _add(server: grpc.aio.Server) -> None:
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(ECHO, {"Echo": handler}),)
    )


@pytest.fixture
async def echo(tls: Path) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]]:
    """Serve a method that answers with its own span, and return how to call it."""
    settings = settings_of("txn", tls)
    server, _ = build_server(settings, [Service(ECHO, _add, only("txn", "Echo"))])
    port = server.add_secure_port(settings.listen, server_credentials(settings))
    await server.start()
    async with channel(settings, f"localhost:{port}") as connected:
        method: Any = connected.unary_unary(f"/{ECHO}/Echo")
        yield method
    await server.stop(1)


class Lines(logging.Handler):
    """Keeps log lines as a service writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter("t"))
        self.written: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(self.format(record)))


def _only(exported: InMemorySpanExporter) -> ReadableSpan:
    [span] = exported.get_finished_spans()
    assert (span.name, span.kind) == (f"{ECHO}/Echo", SpanKind.SERVER)
    return span


async def test_a_call_whose_caller_is_not_sampled_makes_no_span(
    echo: Any, exported: InMemorySpanExporter
) -> None:
    answer = await echo(b"", metadata=(("traceparent", spans.NOT_SAMPLED),))

    assert answer == b""
    assert exported.get_finished_spans() == ()


async def test_a_call_of_a_sampled_caller_is_its_child(
    echo: Any, exported: InMemorySpanExporter
) -> None:
    answer = await echo(b"", metadata=(("traceparent", SAMPLED),))

    span = _only(exported)
    assert span.parent == spans.sampled(SAMPLED)
    assert answer.decode() == f"00-{0xA1:032x}-{span.context.span_id:016x}-01"


async def test_where_nobody_has_decided_the_service_does(
    echo: Any, exported: InMemorySpanExporter
) -> None:
    await echo(b"")

    assert _only(exported).parent is None


@pytest.mark.parametrize(
    ("request_", "kind"), [(b"missing", "RESOURCE_MISSING"), (b"crash", "INTERNAL")]
)
async def test_a_failure_is_marked_and_logged_in_its_trace_without_its_text(
    echo: Any,
    exported: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    request_: bytes,
    kind: str,
) -> None:
    lines = Lines()
    logging.getLogger("chassis.server").addHandler(lines)
    caplog.set_level(logging.INFO, "chassis.server")

    with pytest.raises(grpc.aio.AioRpcError):
        await echo(request_, metadata=(("traceparent", SAMPLED),))

    logging.getLogger("chassis.server").removeHandler(lines)
    span = _only(exported)
    assert span.attributes == {"error.type": kind}
    assert CARD_NUMBER not in span.to_json()
    assert [line["trace_id"] for line in lines.written] == [f"{0xA1:032x}"]


async def test_a_statement_is_a_span_only_inside_a_sampled_one(
    postgres: DatabaseServer, tls: Path, exported: InMemorySpanExporter
) -> None:
    database, _ = await database_and_settings(postgres.database("txn"), tls)
    await as_owner(database, "create table cards (number text)")
    await as_owner(database, "grant insert on cards to txn")
    with spans.server_span("request", spans.NOT_SAMPLED):
        await database.fetch("insert into cards values (%(number)s)", number=CARD_NUMBER)
    with spans.server_span("request", SAMPLED):
        await database.fetch("insert into cards values (%(number)s)", number=CARD_NUMBER)
    await database.close()

    statement, request = exported.get_finished_spans()
    assert (statement.name, statement.kind) == ("insert into cards", SpanKind.CLIENT)
    assert statement.parent == request.context
    assert CARD_NUMBER not in statement.to_json()


async def test_an_event_keeps_the_span_of_its_own_request_and_of_no_neighbour(
    postgres: DatabaseServer, tls: Path, exported: InMemorySpanExporter
) -> None:
    database, _ = await database_and_settings(postgres.database("intent"), tls)
    store = IntentStore(database, FakeClock())

    async def create(number: int, header: str) -> None:
        with spans.server_span("request", header):
            await store.creations.submit(Creation(_an_intent(number), None))

    headers = [SAMPLED, spans.NOT_SAMPLED, f"00-{0xA2:032x}-{0xB1:016x}-01"]
    await asyncio.gather(*(create(number, header) for number, header in enumerate(headers)))
    with spans.server_span("request", SAMPLED.replace("a1", "a3")):
        change = Change(MERCHANT, _an_intent(0).id, None, lambda was: begin_processing(was, HOLDER))
    await store.changes.submit(change)
    rows = await as_owner(database, "select traceparent from outbox order by created, aggregateid")
    await database.close()

    traces = [row["traceparent"] and row["traceparent"].split("-")[1] for row in rows]
    assert traces == [f"{0xA1:032x}", None, f"{0xA2:032x}", f"{0xA3:032x}"]
    requests = [span for span in exported.get_finished_spans() if span.name == "request"]
    assert {row["traceparent"][36:52] for row in rows if row["traceparent"]} == {
        f"{span.context.span_id:016x}" for span in requests
    }
    flushes = [span for span in exported.get_finished_spans() if span.name == "intent.create"]
    assert len(flushes) == 1, "they were written together"


def _an_intent(number: int) -> PaymentIntent:
    return PaymentIntent(
        id=PaymentIntentId(f"pi_{number}"),
        merchant_id=MERCHANT,
        mode="test",
        amount_minor=1099,
        currency="usd",
        created=1,
    )
