"""Consumers: what the headers of a record come to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka.structs import TopicPartition
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from chassis import spans
from chassis.config import ServiceSettings
from chassis.consumer import Consumer, Record

SETTINGS = ServiceSettings(
    service_name="t",
    listen="",
    metrics_listen="",
    database_url=SecretStr(""),
    tls_certificate=Path(),
    tls_key=Path(),
    tls_ca=Path(),
    jwks_file=Path(),
)


@dataclass(frozen=True)
class Row:
    """A record as Kafka's client returns it."""

    headers: list[tuple[str, bytes | None]]
    offset: int
    topic: str = "events.t"
    partition: int = 0
    key: bytes = b"pi_1"
    value: bytes = b""


class Topic:
    """Stands for Kafka: has these rows once, then nothing."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._polls = [{TopicPartition("events.t", 0): rows}]
        self.committed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def subscribe(self, _: object, listener: object) -> None:
        assert listener is None

    def topics(self) -> set[str]:
        return {"events.t"}

    def poll(self, **_: int) -> dict[Any, Sequence[Row]]:
        return self._polls.pop() if self._polls else {}

    def commit(self, _: object) -> None:
        self._loop.call_soon_threadsafe(self.committed.set)

    def highwater(self, _: object) -> None:
        return None

    def close(self) -> None:
        return None


async def _consume(rows: Sequence[Row], fail_together: bool = False) -> list[Record]:
    topic = Topic(rows)
    seen: list[Record] = []

    class Fed(Consumer):
        def _connect(self) -> Any:
            return topic

    async def handle(records: Sequence[Record]) -> None:
        if fail_together and len(records) > 1:
            raise ValueError("bad pan 4111111111111111")
        seen.extend(records)

    consumer = Fed(SETTINGS, "group", ["events.t"], handle)
    await consumer.start()
    await topic.committed.wait()
    await consumer.stop()
    return seen


def _row(offset: int, traceparent: str | None) -> Row:
    header = None if traceparent is None else traceparent.encode()
    return Row([("id", b"evt_1"), ("eventType", b"t.done"), ("traceparent", header)], offset)


def _traceparent(trace: int) -> str:
    return f"00-{trace:032x}-{0xB:016x}-01"


async def test_a_batch_of_records_is_one_span_in_the_first_records_trace(
    exported: InMemorySpanExporter,
) -> None:
    headers = [None, _traceparent(0xA1), spans.NOT_SAMPLED, _traceparent(0xA2), _traceparent(0xA1)]

    records = await _consume([_row(number, header) for number, header in enumerate(headers)])

    assert [record.traceparent for record in records] == headers
    [span] = exported.get_finished_spans()
    assert (span.name, span.kind) == ("group", SpanKind.CONSUMER)
    assert span.parent == spans.sampled(headers[1])
    assert [link.context for link in span.links] == [spans.sampled(headers[3])]


async def test_records_that_nobody_traces_make_no_span(exported: InMemorySpanExporter) -> None:
    await _consume([_row(0, None), Row([("id", b"evt_2")], 1)])

    assert exported.get_finished_spans() == ()


async def test_records_that_are_tried_alone_are_each_in_their_own_trace(
    exported: InMemorySpanExporter,
) -> None:
    headers = [_traceparent(0xA1), _traceparent(0xA2), None]

    await _consume(
        [_row(number, header) for number, header in enumerate(headers)], fail_together=True
    )

    together, *alone = exported.get_finished_spans()
    assert together.attributes == {"error.type": "ValueError"}
    assert "4111111111111111" not in together.to_json()
    assert [span.parent for span in alone] == [spans.sampled(header) for header in headers[:2]]
