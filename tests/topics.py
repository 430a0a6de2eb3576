"""Reads whole topics as they are committed now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from audit_svc.clients import read_record
from audit_svc.domain.record import Place, Record
from chassis.topics import read_to_end


def read_topics(access: dict[str, Any], topics: Iterable[str]) -> dict[Place, list[Record]]:
    """Return what is committed in these topics, in order. access: what a client of Kafka takes."""
    consumer = KafkaConsumer(**access, isolation_level="read_committed", enable_auto_commit=False)
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in consumer.partitions_for_topic(topic)
    ]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    found: dict[Place, list[Record]] = defaultdict(list)
    for record in map(read_record, read_to_end(consumer)):
        found[record.place].append(record)
    consumer.close()
    return dict(found)
