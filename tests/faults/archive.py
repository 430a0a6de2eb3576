"""What the archive of a run holds, beside what is in Kafka."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from audit_svc.domain.record import Record
from audit_svc.domain.topics import TOPICS
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import read_records
from sandbox import audit
from sandbox.operator_access import kafka_of
from tests.faults.evidence import Archived, Place
from tests.faults.mesh import Mesh
from tests.topics import read_topics

ARCHIVED_S_MAX = 90.0
LOOK_S = 0.001
BUSY = (
    *("cdc.intent.payment_intents", "cdc.txn.attempts", "cdc.txn.transactions"),
    *("events.payment_intent", "events.attempt"),
)


def archived(mesh: Mesh) -> Archived:
    """Wait until as much is archived as is in Kafka, or for a bounded time; return both."""
    topics = read_topics(kafka_of(mesh.status()), TOPICS)
    in_kafka = {str(place): _placed(records) for place, records in topics.items()}
    deadline = time.monotonic() + ARCHIVED_S_MAX
    while (found := _in_archive(mesh)).keys() != in_kafka.keys() or any(
        len(found[place]) < len(rows) for place, rows in in_kafka.items()
    ):
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    told: dict[str, Any] = asyncio.run(audit.verify_running(mesh.state, mesh.status()))
    broken = [(link["file"], link["reason"]) for link in told["brokenLinks"]]
    return Archived(in_kafka, found, broken)


def kill_between(archive: Path, pid: int, for_s: float) -> bool:
    """Kill a process as soon as it has written a file and not its manifest; False if it never did.

    It is stopped for each look, so that what is seen is what it leaves.
    """
    deadline = time.monotonic() + for_s
    seen = _count(archive / "data")
    while time.monotonic() < deadline:
        time.sleep(LOOK_S)
        if (now := _count(archive / "data")) == seen:
            continue
        seen = now
        try:
            os.kill(pid, signal.SIGSTOP)
            is_between = _count(archive / "data") > _count(archive / "manifests")
            os.kill(pid, signal.SIGKILL if is_between else signal.SIGCONT)
        except ProcessLookupError:
            return False
        if is_between:
            return True
    return False


def _count(folder: Path) -> int:
    """Return how many files there are of the topics that are written most."""
    return sum(1 for topic in BUSY for _ in (folder / topic).glob("*/*[0-9].*"))


def _in_archive(mesh: Mesh) -> dict[str, list[Place]]:
    archive = Archive(mesh.state.archive.as_uri())
    found: dict[str, list[Place]] = {}
    for name in archive.names("data/"):
        place = "/".join(name.split("/")[1:3])
        found.setdefault(place, []).extend(_placed(read_records(archive.get(name) or b"")))
    return found


def _placed(records: Iterable[Record]) -> list[Place]:
    return [
        Place(
            record.offset,
            sha256(repr((record.key, record.headers, record.value)).encode()).hexdigest(),
        )
        for record in records
    ]
