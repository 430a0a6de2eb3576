"""Topics read from some place to their end, without being of a group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaTimeoutError

POLL_MS = 200
IDLE_POLLS_MAX = 150
RECORDS_MAX = 5_000


def read_to_end(consumer: KafkaConsumer) -> Iterator[Any]:
    """Yield the records from where a consumer stands up to what is committed now.

    consumer: reads what is committed of the partitions that it was assigned. Raises KafkaError.
    """
    ends = consumer.end_offsets(list(consumer.assignment()))
    idle_polls = 0
    while any(consumer.position(one) < end for one, end in ends.items()):
        if idle_polls == IDLE_POLLS_MAX:
            raise KafkaTimeoutError("nothing comes of what is there")
        polled = consumer.poll(POLL_MS, max_records=RECORDS_MAX)
        idle_polls = 0 if polled else idle_polls + 1
        for rows in polled.values():
            yield from rows
