"""Kafka, asked directly: what is in a topic and not archived yet, how far the archive was told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2
from kafka.structs import TopicPartition

from audit_svc.config import AuditSettings
from audit_svc.domain.record import Place, Record
from chassis.errors import ServiceUnavailable
from chassis.identity import kafka_credentials
from chassis.topics import POLL_MS, read_to_end

GROUP = "audit-archive"  # of those who archive


class KafkaUnavailable(ServiceUnavailable):
    """Kafka does not answer."""

    def __init__(self) -> None:
        super().__init__("Kafka can't be reached now.")


class KafkaReader:
    """Reads partitions without being of a group. Every call raises KafkaUnavailable."""

    def __init__(self, access: Mapping[str, str]) -> None:
        """access: what a client of Kafka takes, see `kafka_access`."""
        self._access = access

    def places(self, topics: Iterable[str], keys: Iterable[bytes]) -> list[Place]:
        """Return in which partitions of each topic the records of these keys are.

        That never changes: partitions are not added to a topic, or stories would be torn apart.
        """
        hashes = {murmur2(key) & 0x7FFFFFFF for key in keys}
        with _Connection(self._access) as consumer:
            found = []
            for topic in topics:
                partitions = len(consumer.partitions_for_topic(topic) or ())
                if partitions:
                    numbers = {each % partitions for each in hashes}
                    found += [Place(topic, number) for number in sorted(numbers)]
            return found

    def all_places(self, topics: Iterable[str]) -> list[Place]:
        """Return every partition of these topics."""
        with _Connection(self._access) as consumer:
            return [Place(*one) for one in _partitions(consumer, topics)]

    def read(self, since: Mapping[Place, int], keys: Collection[bytes]) -> list[Record]:
        """Return the records of keys from these offsets on, up to what is committed now."""
        return [record for record in self.read_all(since) if record.key in keys]

    def read_all(self, since: Mapping[Place, int]) -> Iterator[Record]:
        """Yield all records from these offsets on, each partition's in order, as `read` does."""
        wanted = {TopicPartition(*place): offset for place, offset in since.items()}
        with _Connection(self._access) as consumer:
            begins = consumer.beginning_offsets(list(wanted))
            ends = consumer.end_offsets(list(wanted))
            open_ones = {one for one in wanted if max(wanted[one], begins[one]) < ends[one]}
            consumer.assign(list(open_ones))
            for one in open_ones:
                consumer.seek(one, max(wanted[one], begins[one]))
            yield from map(read_record, read_to_end(consumer))

    def committed(self, topics: Iterable[str]) -> dict[Place, int]:
        """Return up to which offsets Kafka was told that topics are archived."""
        with _Connection(self._access, group_id=GROUP) as consumer:
            told = {one: consumer.committed(one) for one in _partitions(consumer, topics)}
        return {
            Place(one.topic, one.partition): offset
            for one, offset in told.items()
            if offset is not None
        }


class _Connection:
    def __init__(self, access: Mapping[str, str], group_id: str | None = None) -> None:
        self._access = access
        self._group_id = group_id

    def __enter__(self) -> KafkaConsumer:
        try:
            self._consumer = KafkaConsumer(
                **self._access,
                group_id=self._group_id,
                client_id="audit-reader",
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=POLL_MS,
            )
        except KafkaError as away:
            raise KafkaUnavailable from away
        return self._consumer

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._consumer.close()
        if isinstance(error, KafkaError):
            raise KafkaUnavailable from error


def _partitions(consumer: KafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


def kafka_access(settings: AuditSettings) -> dict[str, str]:
    """Return where Kafka is, and as whom to reach it: as the service is to other services."""
    own = kafka_credentials(settings.tls_certificate, settings.tls_key, settings.tls_ca)
    return {"bootstrap_servers": settings.kafka_bootstrap, **own}


def read_record(row: Any) -> Record:
    """Return a record as the client of Kafka has it."""
    headers = tuple((name, value) for name, value in row.headers)
    return Record(row.topic, row.partition, row.offset, row.timestamp, row.key, headers, row.value)
