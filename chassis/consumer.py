"""Reads topics: effects first, offsets after, so nothing is lost and repeats must be harmless.

Effects and the ids of their events are to be committed in one database transaction (table
`consumed_events`). A record that fails alone is named on the topic `dead-letters.<group>`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition
from opentelemetry.trace import SpanKind

from chassis import spans, telemetry
from chassis.background import keep_running
from chassis.config import ServiceSettings
from chassis.errors import DomainError, Kind
from chassis.identity import kafka_credentials
from chassis.membership import SESSION, Membership
from chassis.scrubbing import scrub

LOG = logging.getLogger(__name__)
TRIES_MAX = 5
RECONNECT_MS_MAX = 2_000  # after an outage nobody waits long to see that it is over
BACKOFF_S_MAX = 10.0
RECORDS_MAX = 500
POLL_MS = 200
LINGER_S = 0.02  # lets records gather: a batch costs far more than a record in it

CONSUMED_EVENTS_DDL = (
    """
create table consumed_events (
    consumer text not null,
    event_id text not null,
    created timestamptz not null default now(),
    primary key (consumer, event_id)
)
""",
    "create index on consumed_events (created)",
)


@dataclass(frozen=True, slots=True)
class Record:
    """One event on a topic. key: the payment intent's id; event_id: the outbox row's id.

    traceparent: the sampled span in which it came about, if there was one.
    """

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    event_id: str
    event_type: str
    traceparent: str | None = None


class PoisonRecord(Exception):
    """A record that can never be handled; the text says why."""


Handle = Callable[[Sequence[Record]], Awaitable[None]]


class Consumer:
    """Hands the records of topics to a handler, in order within a key, in batches."""

    def __init__(
        self, settings: ServiceSettings, group: str, topics: Sequence[str], handle: Handle
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._handle = handle
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._attributes = {"group": group}

    async def start(self) -> None:
        """Begin to read in the background."""
        self._task = keep_running(self._run(), name=f"consumer {self._group}")

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        backoff_s = 0.1
        while not self._stopping.is_set():
            try:
                await self._consume()
            except (KafkaError, OSError):
                LOG.warning("lost Kafka, starting again", exc_info=True, extra=self._attributes)
                await self._pause(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)

    async def _consume(self) -> None:
        consumer = await asyncio.to_thread(self._connect)
        membership = Membership(consumer)
        try:
            await asyncio.to_thread(membership.subscribe, self._topics)
            while not self._stopping.is_set():
                polled = await asyncio.to_thread(
                    consumer.poll, timeout_ms=POLL_MS, max_records=RECORDS_MAX
                )
                membership.check()
                if not polled:
                    continue
                await self._apply([_record(row) for rows in polled.values() for row in rows])
                offsets = {
                    partition: OffsetAndMetadata(rows[-1].offset + 1, "", -1)
                    for partition, rows in polled.items()
                }
                await asyncio.to_thread(consumer.commit, offsets)
                for partition, rows in polled.items():
                    self._measure_lag(consumer, partition, rows[-1].offset)
                await asyncio.sleep(LINGER_S)
        finally:
            await asyncio.to_thread(consumer.close)

    def _connect(self) -> KafkaConsumer:
        return KafkaConsumer(
            **kafka_access(self._settings),
            group_id=self._group,
            client_id=f"{self._settings.service_name}-{self._group}",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
            max_poll_interval_ms=300_000,
            reconnect_backoff_max_ms=RECONNECT_MS_MAX,
            **SESSION,  # a killed process holds its partitions no longer
        )

    def _measure_lag(self, consumer: KafkaConsumer, partition: TopicPartition, at: int) -> None:
        end = consumer.highwater(partition)
        if end is not None:
            attributes = {**self._attributes, "partition": partition.partition}
            telemetry.consumer_lag.set(max(0, end - at - 1), attributes)

    async def _apply(self, records: list[Record]) -> None:
        """Handle the records together; if that fails, one by one, giving up the hopeless."""
        error = await self._handled(records)
        for tried in range(1, TRIES_MAX):
            if error is None:
                return
            if len(records) > 1:
                for record in records:
                    await self._apply([record])
                return
            if isinstance(error, PoisonRecord):
                break
            await self._pause(0.1 * 2**tried)
            error = await self._handled(records)
        if error is not None:
            reason = str(error) if isinstance(error, PoisonRecord) else type(error).__name__
            await asyncio.to_thread(self._bury, records[0], reason)

    async def _handled(self, records: Sequence[Record]) -> Exception | None:
        """Handle the records, waiting for parts that are away; return what can't be waited out."""
        parents = [spans.sampled(record.traceparent) for record in records]
        backoff_s = 0.1
        while True:
            try:
                with spans.batch_span(self._group, parents, SpanKind.CONSUMER):
                    await self._handle(records)
            except Exception as error:
                if not _is_transient(error):
                    LOG.warning("records failed", extra=self._attributes, exc_info=True)
                    return error
                if self._stopping.is_set():
                    raise
                LOG.warning("waiting for a part that is away", exc_info=True)
                await self._pause(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)
            else:
                return None

    def _bury(self, record: Record, reason: str) -> None:
        """Say which record was given up and why.

        Its bytes stay where they are, as evidence: what can't be read may hold anything, and a
        copy of it would have to be searched, hidden and kept like the first.
        """
        LOG.error(
            "dead letter",
            extra={**self._attributes, "event_id": record.event_id, "reason": reason},
        )
        telemetry.dead_letters.add(1, self._attributes)
        producer = KafkaProducer(**kafka_access(self._settings), acks="all")
        try:
            headers = {
                "reason": scrub(reason),
                "topic": record.topic,
                "partition": str(record.partition),
                "offset": str(record.offset),
                "id": scrub(record.event_id),
                "eventType": scrub(record.event_type),
            }
            producer.send(
                f"dead-letters.{self._group}",
                key=scrub(record.key).encode(),
                headers=[(name, text.encode()) for name, text in headers.items()],
            ).get(timeout=30)
        finally:
            producer.close()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def kafka_access(settings: ServiceSettings) -> dict[str, str]:
    """Return where Kafka is, and as whom to reach it: as the service is to other services."""
    own = kafka_credentials(settings.tls_certificate, settings.tls_key, settings.tls_ca)
    return {"bootstrap_servers": settings.kafka_bootstrap, **own}


def _record(row: Any) -> Record:
    headers = {
        name: value.decode(errors="replace") for name, value in row.headers if value is not None
    }
    return Record(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        key=(row.key or b"").decode(errors="replace"),
        value=row.value or b"",
        event_id=headers.get("id", ""),
        event_type=headers.get("eventType", ""),
        traceparent=headers.get("traceparent"),
    )


def _is_transient(error: Exception) -> bool:
    if isinstance(error, DomainError):
        return error.kind is Kind.UNAVAILABLE
    return isinstance(error, KafkaError | OSError)
