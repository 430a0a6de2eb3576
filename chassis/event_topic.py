"""A topic of events, as a service looks into it and writes to it in the place of Debezium."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import UnknownTopicOrPartitionError
from kafka.structs import TopicPartition

from chassis.config import OutboxSettings
from chassis.consumer import kafka_access
from chassis.topics import POLL_MS, read_to_end

LOG = logging.getLogger(__name__)
RELAYING = "capture stands still, relaying events"
SEND_S_MAX = 30.0
CLOCKS_DIFFER_MAX = timedelta(minutes=1)  # those of the database and of Kafka's writers


class EventTopic:
    """Knows which events are in the topic that were created since some time.

    Used by one thread at a time; it connects when it is first asked. Every call raises KafkaError.
    """

    def __init__(self, settings: OutboxSettings, name: str, since: datetime) -> None:
        self._settings = settings
        self._name = name
        self._since_ms = _milliseconds(since - CLOCKS_DIFFER_MAX)
        self._consumer: KafkaConsumer | None = None
        self._producer: KafkaProducer | None = None
        self._seen: dict[str, int] = {}  # event id → Kafka's time
        self._sent: set[str] = set()  # by this one, and not read back yet

    def send_missing(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Send the rows of the outbox that are not in the topic, in order; return how many."""
        self._read()
        missing = [row for row in rows if row["id"] not in self._seen]
        if missing:
            LOG.error(RELAYING, extra={"events": len(missing), "topic": self._name})
            self._send(missing)
        return len(missing)

    def forget(self, before: datetime) -> None:
        """Forget what came to the topic before any event that may still be asked for."""
        before_ms = _milliseconds(before - CLOCKS_DIFFER_MAX)
        self._seen = {each: at for each, at in self._seen.items() if at >= before_ms}

    def close(self) -> None:
        """Let Kafka go."""
        for client in (self._consumer, self._producer):
            if client is not None:
                client.close()

    def _read(self) -> None:
        if self._consumer is None:
            self._consumer = self._at_the_beginning()
        for row in read_to_end(self._consumer):
            event_id = (dict(row.headers).get("id") or b"").decode(errors="replace")
            if event_id in self._sent:
                self._sent.discard(event_id)
            else:
                self._seen[event_id] = row.timestamp

    def _at_the_beginning(self) -> KafkaConsumer:
        consumer = KafkaConsumer(
            **kafka_access(self._settings),
            client_id=f"{self._settings.service_name}-relay",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
        )
        numbers = consumer.partitions_for_topic(self._name)
        if not numbers:
            consumer.close()
            raise UnknownTopicOrPartitionError(self._name)
        partitions = [TopicPartition(self._name, number) for number in numbers]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found = consumer.offsets_for_times(dict.fromkeys(partitions, self._since_ms))
        for one in partitions:
            at = found.get(one)
            consumer.seek(one, ends[one] if at is None else at.offset)
        return consumer

    def _send(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._producer is None:
            self._producer = KafkaProducer(
                **kafka_access(self._settings), acks="all", compression_type="lz4"
            )
        sent = [
            self._producer.send(
                self._name,
                key=row["aggregateid"].encode(),
                value=bytes(row["payload"]),
                headers=_headers(row),
            )
            for row in rows
        ]
        for row, each in zip(rows, sent, strict=True):
            each.get(timeout=SEND_S_MAX)
            self._sent.add(row["id"])


def _headers(row: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return the headers that Debezium's EventRouter makes, as connectors.yaml tells it to.

    Where there is no span it makes one without a value, and this client none.
    """
    told = {"id": row["id"], "eventType": row["type"], "traceparent": row["traceparent"]}
    return [(name, text.encode()) for name, text in told.items() if text is not None]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
