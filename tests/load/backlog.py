"""Watches what has not been worked off while load goes on, and says whether it grows."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import psycopg
from kafka import KafkaAdminClient, KafkaConsumer
from psycopg.rows import dict_row

from sandbox.operator_access import kafka_of
from tests.load.vegeta import Result

SAMPLE_S = 1.0
EMPTY_S_MAX = 300.0
REQUESTS = "requests due, not answered"
SLOT = "slot"  # never empty: all databases write into one WAL
GROUPS = ("recon-attempts", "webhook-payments", "intent-attempts")
ATTEMPTS = {"txn_svc": "txn", "recon_svc": "recon"}  # by service: the database
# A backlog grows when so much of what arrives is not worked off in the same time.
GROWS_FROM = 0.02

OPEN = """
select count(*) filter (where status = 'recorded') as recorded,
    count(*) filter (where status = 'timeout') as timeout
from attempts where status in ('recorded', 'timeout')
"""
SLOTS = """
select slot_name as name, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) as waiting,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as written
from pg_replication_slots
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How much waits at one moment, by backlog. at_s: Unix seconds.

    arrived: how much has come so far where that is counted, by backlog; only differences count.
    """

    at_s: float
    waiting: dict[str, float]
    arrived: dict[str, float]

    @property
    def is_empty(self) -> bool:
        """Return whether no attempt is open and every event is read."""
        return not any(count for name, count in self.waiting.items() if SLOT not in name)


@dataclass(frozen=True, slots=True)
class Trend:
    """What one backlog did. early, late: means of the first and the last third."""

    name: str
    arrives_per_s: float
    early: float
    late: float
    most: float
    slope_per_s: float

    @property
    def is_growing(self) -> bool:
        """Return whether more than a small part of what arrives stays behind."""
        return self.slope_per_s > GROWS_FROM * self.arrives_per_s


def trends(readings: Sequence[Reading], per_s: Mapping[str, float]) -> list[Trend]:
    """Return the trend of each backlog by least squares. readings: three or more, by time.

    per_s: how much arrives a second where that is not counted, by backlog.
    """
    times_s = [reading.at_s for reading in readings]
    first, last = readings[0], readings[-1]
    third = len(readings) // 3
    found = []
    for name in first.waiting:
        waiting = [reading.waiting[name] for reading in readings]
        if name in per_s:
            arrives_per_s = per_s[name]
        else:
            arrives_per_s = (last.arrived[name] - first.arrived[name]) / (last.at_s - first.at_s)
        found.append(
            Trend(
                name=name,
                arrives_per_s=arrives_per_s,
                early=statistics.fmean(waiting[:third]),
                late=statistics.fmean(waiting[-third:]),
                most=max(waiting),
                slope_per_s=statistics.linear_regression(times_s, waiting).slope,
            )
        )
    return found


def with_requests(reading: Reading, results: Sequence[Result], sent_per_s: float) -> Reading:
    """Return a reading, made while requests were sent, with those that were due and unanswered.

    sent_per_s: how many were to be sent; what a generator at its limit sends late, or never, was
    due all the same. results: all answers.
    """
    due = (reading.at_s - min(result.sent_at_s for result in results)) * sent_per_s
    answered = sum(result.answered_at_s <= reading.at_s for result in results)
    return replace(reading, waiting={REQUESTS: due - answered, **reading.waiting})


class Backlogs:
    """Reads how much waits in the databases, in Kafka and in the replication slots."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._databases = {
            service: psycopg.connect(
                status["databases"][name], autocommit=True, row_factory=dict_row
            )
            for service, name in ATTEMPTS.items()
        }
        self._admin = KafkaAdminClient(**kafka_of(status))
        self._consumer = KafkaConsumer(**kafka_of(status), isolation_level="read_committed")

    def close(self) -> None:
        """Let the connections go."""
        for database in self._databases.values():
            database.close()
        self._admin.close()
        self._consumer.close()

    def read(self) -> Reading:
        """Return what waits now."""
        waiting: dict[str, float] = {}
        arrived: dict[str, float] = {}
        for service, database in self._databases.items():
            for row in database.execute(OPEN):
                waiting |= {f"{service}, {status}": count for status, count in row.items()}
        for group, offsets in self._admin.list_group_offsets(list(GROUPS)).items():
            ends = self._consumer.end_offsets(list(offsets))
            # Behind a partition's last record stands the mark that its transaction is committed.
            waiting[f"lag of {group}"] = sum(
                max(0, ends[partition] - committed.offset - 1)
                for partition, committed in offsets.items()
            )
            arrived[f"lag of {group}"] = sum(ends.values())
        for row in self._databases["txn_svc"].execute(SLOTS):
            waiting[f"{SLOT} {row['name']}, kB"] = float(row["waiting"]) / 1000
            arrived[f"{SLOT} {row['name']}, kB"] = float(row["written"]) / 1000
        return Reading(time.time(), waiting, arrived)


class Watch:
    """Reads the backlogs each second, beside whatever goes on meanwhile."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.readings: list[Reading] = []
        self._backlogs = Backlogs(status)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self._backlogs.close()

    def empty_at_s(self, since_s: float) -> float:
        """Wait until nothing waits any more and return when that was first seen after `since_s`.

        Both in Unix seconds. Raises TimeoutError.
        """
        while True:
            for reading in self.readings:
                if reading.at_s >= since_s and reading.is_empty:
                    return reading.at_s
            if time.time() > since_s + EMPTY_S_MAX:
                raise TimeoutError(f"still waiting: {self.readings[-1:]}")
            time.sleep(SAMPLE_S)

    def _read(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.readings.append(self._backlogs.read())
