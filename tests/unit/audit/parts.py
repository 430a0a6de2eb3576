"""An archive in a folder, its keys, and records to put into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from audit_svc.domain.record import Place, Record
from audit_svc.domain.verdict import Verdict
from audit_svc.handlers.archiving import Archiving, PartitionArchiver
from audit_svc.handlers.verification import verify
from audit_svc.store.archive import Archive
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import Purpose
from tests.fakes import FakeClock

PLACE = Place("cdc.intent.payment_intents", 3)
OTHER = Place("events.attempt", 0)
INTENT = "pi_2b0000000000000000000000001"[:29]
STARTED_MS = 1_772_366_400_000  # when the fake clock stands


def a_change(
    offset: int,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    key: str = INTENT,
    place: Place = PLACE,
) -> Record:
    """Return a row change as Debezium writes it."""
    op = "c" if before is None else "d" if after is None and before else "u"
    source = {
        "table": place.topic.rpartition(".")[2],
        "ts_us": STARTED_MS * 1000 + offset,
        "txId": 700 + offset,
        "lsn": 9000 + offset,
    }
    told = {"before": before, "after": after or {"id": key}, "op": op, "source": source}
    return a_record(offset, orjson.dumps(told), key, place)


def a_deletion(offset: int, before: dict[str, Any], place: Place = PLACE) -> Record:
    """Return the end of a row as Debezium writes it."""
    source = {"table": "payment_intents", "ts_us": STARTED_MS * 1000, "txId": 1, "lsn": 1}
    told = {"before": before, "after": None, "op": "d", "source": source}
    return a_record(offset, orjson.dumps(told), INTENT, place)


def a_reread(offset: int, row: dict[str, Any], snapshot: str = "incremental") -> Record:
    """Return a row as Debezium writes it when it was told to read it again.

    snapshot: otherwise, when it reads whole tables as it begins.
    """
    source = {
        "table": PLACE.topic.rpartition(".")[2],
        "ts_us": STARTED_MS * 1000 + offset,
        "txId": 600,
        "lsn": 8000,
        "snapshot": snapshot,
    }
    told = {"before": None, "after": row, "op": "r", "source": source}
    return a_record(offset, orjson.dumps(told))


def a_record(
    offset: int, value: bytes | None = b"\x00\xff", key: str = INTENT, place: Place = PLACE
) -> Record:
    """Return a record of a topic."""
    headers = (("id", b"evt_1"), ("traceparent", None))
    topic, partition = place
    return Record(topic, partition, offset, STARTED_MS + offset, key.encode(), headers, value)


@dataclass
class Ground:
    """A folder with an archive; each process() is like another process that archives there."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.files = self.folder / "archive"
        self.files.mkdir()
        self.keys = FileKeyStore(self.folder / "keys", bytes(32), self.clock)
        self.keys.create_missing([Purpose.AUDIT_SIGNING])

    @property
    def archive(self) -> Archive:
        """The archive, as another process opens it."""
        return Archive(self.files.as_uri())

    def process(self) -> Archiving:
        """Return what the archivers of a process share."""
        return Archiving(self.archive, self.keys, self.clock)

    def write(self, records: Sequence[Record], shared: Archiving | None = None) -> None:
        """Archive records of one partition as a file."""
        archiver = PartitionArchiver(shared or self.process(), records[0].place)
        archiver.take(records)
        assert archiver.write()

    def verdict(self, committed: dict[Place, int] | None = None) -> Verdict:
        """Verify everything."""
        return verify(self.archive, self.keys.verification_keys(), committed or {})

    def broken(self, committed: dict[Place, int] | None = None) -> list[tuple[str, str]]:
        """Return the links that do not hold."""
        return [(one.file, one.reason) for one in self.verdict(committed).breaks]

    def path(self, name: str) -> Path:
        """Return where a file lies on disk."""
        return self.files / name
