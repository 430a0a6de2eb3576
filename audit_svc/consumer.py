"""Kafka in: every record of the archived topics, from where the archive ends; offsets come last.

What was committed in Kafka is not believed: it only tells others how far the archive is, and that
it once was there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import CommitFailedError, KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition
from opentelemetry import metrics

from audit_svc.clients import GROUP, kafka_access, read_record
from audit_svc.config import AuditSettings
from audit_svc.domain.manifest import ManifestBroken
from audit_svc.domain.record import Place
from audit_svc.domain.topics import TOPICS
from audit_svc.handlers.archiving import ArchiveDiffers, Archiving, PartitionArchiver
from audit_svc.store.parquet import FileBroken
from chassis import telemetry
from chassis.background import keep_running
from chassis.errors import ServiceUnavailable
from chassis.membership import SESSION, Membership

LOG = logging.getLogger(__name__)
POLL_MS = 200
RECORDS_MAX = 5_000  # of one poll
FILE_BYTES_MAX = 64 * 1_048_576
PENDING_BYTES_MAX = 256 * 1_048_576
BACKOFF_S_MAX = 10.0

_meter = metrics.get_meter("paymesh")
oldest_unarchived = _meter.create_gauge(
    "paymesh_oldest_unarchived",
    unit="s",
    description="How long ago the oldest record was read that is not archived yet.",
)
stopped_partitions = _meter.create_gauge(
    "paymesh_stopped_archives",
    unit="{partition}",
    description="Partitions whose archive is not what it should be; a person has to look at them.",
)


class ArchiveConsumer:
    """Archives the partitions that it is assigned, in a thread of its own."""

    def __init__(self, settings: AuditSettings, shared: Archiving) -> None:
        self._settings = settings
        self._shared = shared
        self._stopping = threading.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read in the background."""
        self._task = keep_running(asyncio.to_thread(self._run), name=f"consumer {GROUP}")

    async def stop(self) -> None:
        """Leave the group; what stands in no file is read again by whoever comes next."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    def _run(self) -> None:
        backoff_s = 0.1
        while not self._stopping.is_set():
            try:
                self._consume()
            except (KafkaError, OSError, ServiceUnavailable):
                LOG.warning("lost Kafka or the archive, starting again", exc_info=True)
                self._stopping.wait(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)

    def _consume(self) -> None:
        consumer = KafkaConsumer(
            **kafka_access(self._settings),
            group_id=GROUP,
            client_id=self._settings.service_name,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
            max_poll_interval_ms=300_000,
            **SESSION,
        )
        membership = Membership(consumer)
        try:
            assigned = Assigned(self._settings, self._shared, consumer)
            membership.subscribe(TOPICS, assigned)
            while not self._stopping.is_set():
                assigned.go_on()
                membership.check()
        finally:
            consumer.close()


class Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    """The partitions that this process archives now."""

    def __init__(self, settings: AuditSettings, shared: Archiving, consumer: KafkaConsumer) -> None:
        self._settings = settings
        self._shared = shared
        self._consumer = consumer
        self._open: dict[TopicPartition, PartitionArchiver] = {}
        self._stopped: set[TopicPartition] = set()
        self._since: dict[TopicPartition, float] = {}

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Do nothing: they are opened after the poll that is under way."""

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Forget what was read of them: who gets them reads it again."""
        for partition in revoked:
            self._open.pop(partition, None)
            self._since.pop(partition, None)
            self._stopped.discard(partition)

    def go_on(self) -> None:
        """Read what is there, and write the files that are due."""
        polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
        for partition, rows in polled.items():
            if partition in self._open:
                self._open[partition].take([read_record(row) for row in rows])
                self._since.setdefault(partition, time.monotonic())
        self._open_new()
        for partition in list(self._open):
            if self._is_due(partition):
                self._guarded(partition, self._write)
        self._measure()

    def _open_new(self) -> None:
        new = self._consumer.assignment() - self._open.keys() - self._stopped
        begins = self._consumer.beginning_offsets(list(new)) if new else {}
        for partition in new:
            self._guarded(partition, lambda one: self._open_at(one, begins[one]))

    def _open_at(self, partition: TopicPartition, begins: int) -> None:
        archiver = PartitionArchiver(self._shared, Place(partition.topic, partition.partition))
        archiver.begin_at(begins)
        self._consumer.seek(partition, archiver.position)
        self._open[partition] = archiver

    def _is_due(self, partition: TopicPartition) -> bool:
        archiver = self._open[partition]
        if archiver.is_begun_file_read:
            return True
        if not archiver.pending:
            return False
        age_s = time.monotonic() - self._since.get(partition, time.monotonic())
        return (
            age_s >= self._settings.file_s_max
            or archiver.pending >= self._settings.file_records_max
            or archiver.size_bytes >= FILE_BYTES_MAX
            or sum(one.size_bytes for one in self._open.values()) >= PENDING_BYTES_MAX
        )

    def _write(self, partition: TopicPartition) -> None:
        archiver = self._open[partition]
        if not archiver.write():
            return
        self._since.pop(partition, None)
        if archiver.pending:
            self._since[partition] = time.monotonic()
        self._commit(partition, archiver.archived)

    def _commit(self, partition: TopicPartition, offset: int) -> None:
        try:
            self._consumer.commit({partition: OffsetAndMetadata(offset, "", -1)})
        except CommitFailedError:
            LOG.info("a partition was archived that another process has by now")

    def _guarded(self, partition: TopicPartition, act: Any) -> None:
        """Do something to a partition; one whose archive is not as it should be stands still."""
        try:
            act(partition)
        except (ArchiveDiffers, FileBroken, ManifestBroken):
            LOG.exception(
                "the archive of a partition is not what it should be",
                extra={"topic": partition.topic, "partition": partition.partition},
            )
            self._open.pop(partition, None)
            self._stopped.add(partition)
            self._consumer.pause(partition)

    def _measure(self) -> None:
        now = time.monotonic()
        stopped_partitions.set(len(self._stopped))
        oldest_unarchived.set(max((now - since for since in self._since.values()), default=0.0))
        for partition, archiver in self._open.items():
            end = self._consumer.highwater(partition)
            if end is not None:
                attributes = {"group": GROUP, "topic": partition.topic}
                lag = max(0, end - archiver.position)
                telemetry.consumer_lag.set(lag, attributes | {"partition": partition.partition})
