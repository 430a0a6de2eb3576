"""How fast change capture is: from a commit to who reads Kafka, and into the archive."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from audit_svc.domain.manifest import MANIFESTS
from sandbox.operator_access import kafka_of
from sandbox.top.frame import look
from tests.faults.mesh import Mesh
from tests.load.backlog import SAMPLE_S, Reading, trends
from tests.load.changes import TOPIC, ChangeWriter
from tests.load.measure import Usage
from tests.load.own_sandbox import own_sandbox
from tests.load.report import CONSOLE, print_cores, print_trends
from tests.percentiles import percentile

WARMING_S = 15.0
QUICK_POLL_MS = 10
DRAINING_S_MAX = 300.0
UNREAD = "records that audit_svc has not read"
OLDEST = "age of the oldest that is not archived, s"
WAL = "WAL that the slot waits for, kB"
SLOT = """
select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) / 1000 as waiting,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / 1000 as written
from pg_replication_slots where slot_name = 'paymesh_intent'
"""


def measure_capture(rate: int, seconds: int) -> None:
    """Measure from each commit, by the database's clock, to when a reader of Kafka has the record.

    The reader takes committed records alone, as every consumer of ours does. Measured as the
    connector is configured, and once more with Debezium polling as often as would be quickest.
    """
    with own_sandbox() as mesh:
        _measure_capture(mesh, rate, seconds)
        # What is written while the connector begins again is read afterwards.
        _ask_connect(mesh, _ask_connect(mesh) | {"poll.interval.ms": str(QUICK_POLL_MS)})
        _measure_capture(mesh, rate, seconds)


def _measure_capture(mesh: Mesh, rate: int, seconds: int) -> None:
    status = mesh.status()
    writer = ChangeWriter(status)
    with _arrivals(status) as arrived:
        writer.write(rate, WARMING_S)
        _until(lambda: len(arrived) >= writer.written)
        warm, before = len(arrived), Usage.now(status)
        came_to = writer.write(rate, seconds)
        spent = Usage.now(status) - before
        _until(lambda: len(arrived) >= writer.written)
    writer.close()
    took_ms = arrived[warm:]
    CONSOLE.print(
        f"poll.interval.ms {_ask_connect(mesh)['poll.interval.ms']}: {came_to:,.0f} changes/s, "
        f"{len(took_ms):,} of them: from commit to reader "
        + ", ".join(f"p{each} {percentile(took_ms, each):.0f} ms" for each in (50, 95, 99))
        + f", at most {max(took_ms):.0f} ms"
    )
    print_cores(spent, seconds)


def _ask_connect(mesh: Mesh, config: dict[str, str] | None = None) -> dict[str, str]:
    """Return the connector's configuration, after replacing it if another one is given."""
    url = f"http://{mesh.status()['connect']}/connectors/intent/config"
    if config is not None:
        content, headers = json.dumps(config).encode(), {"content-type": "application/json"}
        put = urllib.request.Request(url, method="PUT", data=content, headers=headers)
        urllib.request.urlopen(put, timeout=60).close()
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: dict[str, str] = json.loads(answer.read())
        return found


@contextmanager
def _arrivals(status: dict[str, Any]) -> Iterator[list[float]]:
    """Read the topic from now on; yield how long each record took, in ms, as they come."""
    consumer = KafkaConsumer(
        **kafka_of(status), isolation_level="read_committed", enable_auto_commit=False
    )
    places = [TopicPartition(TOPIC, each) for each in consumer.partitions_for_topic(TOPIC)]
    consumer.assign(places)
    consumer.seek_to_end()
    for place in places:
        consumer.position(place)
    took_ms: list[float] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            polled = consumer.poll(timeout_ms=100, max_records=10_000)
            now_ms = time.time() * 1000
            took_ms.extend(
                now_ms - json.loads(row.value)["source"]["ts_us"] / 1000
                for rows in polled.values()
                for row in rows
            )

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield took_ms
    finally:
        done.set()
        thread.join()
        consumer.close()


def measure_archive(rate: int, seconds: int) -> None:
    """Write changes steadily and see whether anything before the archive grows."""
    with own_sandbox() as mesh:
        status = mesh.status()
        writer = ChangeWriter(status)
        writer.write(rate, WARMING_S)
        before, readings = Usage.now(status), list[Reading]()
        with _watching(mesh, readings):
            came_to = writer.write(rate, seconds)
        spent, ended_s = Usage.now(status) - before, time.monotonic()
        writer.close()
        _until(lambda: _archived(mesh.state.archive) >= writer.written)
        drained_s = time.monotonic() - ended_s
        CONSOLE.print(
            f"asked for {rate:,} changes/s, written {came_to:,.0f}/s: {writer.written:,} changes, "
            f"archived {_archived(mesh.state.archive):,}"
        )
        print_cores(spent, seconds)
        print_trends(trends(readings, {UNREAD: came_to, OLDEST: 1.0}), drained_s)


@contextmanager
def _watching(mesh: Mesh, readings: list[Reading]) -> Iterator[None]:
    """Read every second what waits before the archive."""
    done = threading.Event()

    def read() -> None:
        with psycopg.connect(mesh.status()["databases"]["intent"], autocommit=True) as connection:
            while not done.wait(SAMPLE_S):
                readings.append(_reading(mesh, connection))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _reading(mesh: Mesh, connection: psycopg.Connection[Any]) -> Reading:
    [audit] = [row for row in mesh.status()["processes"] if row["name"] == "audit_svc"]
    told = look([audit]).moment.samples
    row = connection.execute(SLOT).fetchone()
    assert row is not None
    waiting = {
        UNREAD: sum(each.value for each in told if each.name == "paymesh_consumer_lag"),
        OLDEST: sum(
            each.value for each in told if each.name == "paymesh_oldest_unarchived_seconds"
        ),
        WAL: float(row[0]),
    }
    return Reading(time.time(), waiting, {WAL: float(row[1])})


def _archived(archive: Path) -> int:
    """Return how many changes the manifests tell of."""
    manifests = (archive / MANIFESTS / TOPIC).glob("*/*.json")
    return sum(json.loads(each.read_bytes().partition(b"\n")[0])["records"] for each in manifests)


def _until(holds: Any) -> None:
    deadline = time.monotonic() + DRAINING_S_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what was written did not arrive")
        time.sleep(0.1)
