"""Spans: who decides, who is whose parent, and that nothing unsampled makes one."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from chassis import spans
from intent_svc.store.statements import CHANGE, READ

SAMPLED = f"00-{0xA1:032x}-{0xB1:016x}-01"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sampled-01",
        f"00-{0xA1:032x}-{0xB1:016x}-00",
        f"00-{0xA1:032x}-{0xB1:016x}-02",
        f"00-{0xA1:032x}-{0xB1:016x}-01-more",
        f"00-{0xA1:032X}-{0xB1:016x}-01",
        spans.NOT_SAMPLED,
        SAMPLED.encode(),
    ],
)
def test_a_header_that_is_not_sampled_or_can_not_be_read_names_no_span(header: object) -> None:
    assert spans.sampled(header) is None


def test_a_span_goes_out_as_it_came_in(exported: InMemorySpanExporter) -> None:
    with spans.server_span("t", SAMPLED):
        outgoing = spans.traceparent()

    [span] = exported.get_finished_spans()
    assert outgoing == f"00-{0xA1:032x}-{span.context.span_id:016x}-01"
    assert spans.sampled(outgoing) == spans.sampled(
        f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    )


def test_outside_a_sampled_span_nothing_makes_one(exported: InMemorySpanExporter) -> None:
    with spans.server_span("t", spans.NOT_SAMPLED), spans.statement_span(READ):
        assert spans.traceparent() is None
        with spans.batch_span("t", [spans.current(), None]):
            assert spans.current() is None

    assert exported.get_finished_spans() == ()


def test_a_statement_is_named_for_what_it_writes_and_says_no_values(
    exported: InMemorySpanExporter,
) -> None:
    with spans.server_span("t", SAMPLED):
        for sql in (CHANGE, READ):
            with spans.statement_span(sql):
                pass

    change, read, server = exported.get_finished_spans()
    assert change.name.split(", ") == [
        "update payment_intents",
        "insert into idempotency_keys",
        "insert into consumed_events",
        "insert into outbox",
    ]
    assert read.name == "select"
    assert change.kind is SpanKind.CLIENT
    assert change.attributes == {"db.system.name": "postgresql"}
    assert change.parent == read.parent == server.context


def test_a_failure_is_marked_without_its_text(exported: InMemorySpanExporter) -> None:
    def fail() -> None:
        raise ValueError("bad pan 4111111111111111")

    with spans.server_span("t", SAMPLED), pytest.raises(ValueError, match="bad"):  # noqa: SIM117
        with spans.statement_span(READ):
            fail()

    [statement, _] = exported.get_finished_spans()
    assert statement.attributes is not None
    assert statement.attributes["error.type"] == "ValueError"
    assert not statement.status.is_ok
    assert "4111111111111111" not in statement.to_json()
