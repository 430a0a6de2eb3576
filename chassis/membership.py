"""What kafka-python 3.0 leaves to a member of a consumer group.

A change of metadata makes a member join again. If the poll in which it does so ends too early, the
library takes the join for done: the member sends no heartbeat, gets no partition when another one
goes, and its polls return at once, without end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

SESSION = {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 3_000}
SILENT_S_MAX = 30.0
CHECK_S = 5.0


class NotAMember(KafkaError):  # type: ignore[misc]
    """This member has sent no heartbeat for long, so its group has gone on without it."""


class Membership:
    """A consumer's place in its group. The consumer is to be made with `SESSION`."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._checked_s = self._joined_s = time.monotonic()

    def subscribe(
        self, topics: Sequence[str], listener: ConsumerRebalanceListener | None = None
    ) -> None:
        """Subscribe, knowing every partition, so that the first join is the last.

        Raises KafkaError; UnknownTopicOrPartitionError if a topic is missing: one that is made
        while the group assigns partitions may never be assigned to anybody.
        """
        self._consumer.subscribe(topics, listener=listener)
        missing = set(topics) - self._consumer.topics()
        if missing:
            raise UnknownTopicOrPartitionError(", ".join(sorted(missing)))

    def check(self) -> None:
        """Raise NotAMember if heartbeats have stopped; to be called after each poll."""
        now_s = time.monotonic()
        if now_s - self._checked_s < CHECK_S:
            return
        self._checked_s = now_s
        told = self._consumer.metrics()["consumer-coordinator-metrics"]
        if min(told["last-heartbeat-seconds-ago"], now_s - self._joined_s) > SILENT_S_MAX:
            raise NotAMember
