"""Watches the heartbeats of the databases where they end: behind capture and Kafka.

Every process reads all of them, without a group and from their newest on, so each one knows by
itself whether anything stands still.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import closing
from datetime import datetime

from kafka import KafkaConsumer
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from kafka.structs import TopicPartition
from opentelemetry import metrics

from audit_svc.clients import kafka_access, read_record
from audit_svc.config import AuditSettings
from audit_svc.domain.heartbeat import Heartbeats
from audit_svc.domain.record import read_change
from audit_svc.domain.topics import HEARTBEATS
from chassis.background import Repeated, keep_running
from chassis.clock import Clock
from chassis.topics import POLL_MS

LOG = logging.getLogger(__name__)
LOOK_S = 0.5
RECONNECT_S = 1.0
NEWEST = 10  # offsets before the end: some of them are marks of transactions

_meter = metrics.get_meter("paymesh")
heartbeat_age = _meter.create_gauge(
    "paymesh_heartbeat_age",
    unit="s",
    description="How old the newest heartbeat of a database is that has come through Kafka.",
)


class HeartbeatWatch:
    """Reads in a thread of its own, and tells when a database falls silent and is heard again."""

    def __init__(self, settings: AuditSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._heartbeats = Heartbeats(HEARTBEATS.values(), clock.now())
        self._looking = Repeated("heartbeats", self._look, LOOK_S)
        self._stopping = threading.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch in the background."""
        self._task = keep_running(asyncio.to_thread(self._run), name="reading heartbeats")
        await self._looking.start()

    async def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        await self._looking.stop()
        if self._task is not None:
            await self._task

    async def _look(self) -> None:
        now = self._clock.now()
        for database, age in self._heartbeats.ages(now).items():
            heartbeat_age.set(age.total_seconds(), {"database": database})
        fell, heard = self._heartbeats.turned(now)
        for database in sorted(fell):
            LOG.error("a database's heartbeat does not come", extra={"database": database})
        for database in sorted(heard):
            LOG.warning("a database's heartbeat comes again", extra={"database": database})

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except (KafkaError, OSError):
                LOG.warning("heartbeats can't be read now", exc_info=True)
                self._stopping.wait(RECONNECT_S)

    def _read(self) -> None:
        consumer = KafkaConsumer(
            **kafka_access(self._settings),
            client_id=f"{self._settings.service_name}-heartbeats",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
        )
        with closing(consumer):
            missing = [topic for topic in HEARTBEATS if not consumer.partitions_for_topic(topic)]
            if missing:
                raise UnknownTopicOrPartitionError(", ".join(missing))
            partitions = [TopicPartition(topic, 0) for topic in HEARTBEATS]
            begins = consumer.beginning_offsets(partitions)
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            for one in partitions:
                consumer.seek(one, max(begins[one], ends[one] - NEWEST))
            while not self._stopping.is_set():
                for one, rows in consumer.poll(timeout_ms=POLL_MS).items():
                    change = read_change(read_record(rows[-1]))
                    if change is not None and change.after is not None:
                        beaten = datetime.fromisoformat(change.after["beaten"])
                        self._heartbeats.take(HEARTBEATS[one.topic], beaten, self._clock.now())
