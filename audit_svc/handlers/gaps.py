"""Holds a database's tables against the archive, and against what is in Kafka alone yet."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from audit_svc.clients import KafkaReader
from audit_svc.domain.gaps import (
    Captured,
    CapturedRows,
    Comparison,
    RowName,
    RowsNotRead,
    Shape,
    compare,
    in_order,
)
from audit_svc.domain.manifest import data_folder
from audit_svc.domain.record import CDC, Place, Record, RowChange, read_change
from audit_svc.domain.topics import TOPICS
from audit_svc.handlers.history import archived_until
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import newest_ms, read_records
from audit_svc.store.tables import CapturedDatabase, Slot

POLL_S = 0.5
CONFIRMED_S_MAX = 20.0  # Debezium confirms every few seconds, also where nobody writes
REREAD_S_MAX = 120.0  # without any that come
ASKED_AGAIN_S = 30.0
ROWS_OF_A_SIGNAL_MAX = 200  # Debezium keeps the signal with each record until it is done
CLOCKS_APART_MS = 300_000  # how far those of Kafka and of a database may be
# A transaction takes its time before it has its place in the WAL, so its place may be after that of
# the mark though its time is before.
MARGIN_US = 1_000_000


class CaptureCheck:
    """One database. What was read of the archive and of Kafka is read once; it may ask again.

    service: whose database, such as "intent". since_us: rows that were changed last before are left
    out, microseconds since 1970; 0 for all rows. Any call raises ArchiveUnavailable,
    KafkaUnavailable, ServiceUnavailable.
    """

    def __init__(
        self,
        archive: Archive,
        kafka: KafkaReader,
        database: CapturedDatabase,
        service: str,
        *,
        since_us: int,
    ) -> None:
        self._archive = archive
        self._kafka = kafka
        self._database = database
        self._since_us = since_us
        prefix = f"{CDC}{service}."
        topics = [topic for topic in TOPICS if topic.startswith(prefix)]
        self._shapes = database.shapes(topic.removeprefix(prefix) for topic in topics)
        self._captured = CapturedRows(self._shapes, is_whole=not since_us)
        self._next: dict[Place, int] = {}
        places = kafka.all_places(topics)
        for topic in topics:
            of_topic = [self._archived(place) for place in places if place.topic == topic]
            for change in in_order(of_topic):
                self._captured.take(change)

    def compare(self) -> Comparison:
        """Compare the rows."""
        first = self._compare()
        if not first.gone:
            return first
        again = self._compare()  # it may have been deleted just before it was looked for
        return replace(again, gone=first.gone & again.gone)

    def reread(self, rows: Iterable[RowName]) -> None:
        """Let Debezium read rows again, and wait until they are in Kafka. Raises RowsNotRead."""
        for shape, some in self._in_parts(rows):
            self._reread(shape, some)

    def _reread(self, shape: Shape, rows: Sequence[RowName]) -> None:
        """Ask for rows until all have come.

        Debezium reads rows into a buffer by the key of their messages, which is a payment's for an
        attempt, and drops what a change of that key meets there: of the rows of one payment it
        sends one at a time, or none.
        """
        before = {name: self._captured.rows.get(name) for name in rows}
        missing = list(rows)
        deadline = time.monotonic() + REREAD_S_MAX
        while missing:
            if time.monotonic() > deadline:
                raise RowsNotRead(f"{shape.table}: {len(missing)} rows")
            self._database.ask_again(str(uuid.uuid4()), shape, missing)
            rest = self._not_come(missing, before)
            if len(rest) < len(missing):
                deadline = time.monotonic() + REREAD_S_MAX
            missing = rest

    def _not_come(
        self, rows: Sequence[RowName], before: Mapping[RowName, Captured | None]
    ) -> list[RowName]:
        """Wait until some rows have come and then no more do, or none do; return the others."""
        rest = list(rows)
        until = time.monotonic() + ASKED_AGAIN_S
        while rest and time.monotonic() < until:
            time.sleep(POLL_S)
            self._read_on()
            now = [name for name in rest if self._has_not_come(name, before[name])]
            if len(now) == len(rest) < len(rows):
                break
            rest = now
        return rest

    def _has_not_come(self, name: RowName, before: Captured | None) -> bool:
        """Return whether a row is as it was, or has changed with a change before that missing."""
        known = self._captured.rows.get(name)
        return known is before or (known is not None and known.is_torn)

    def _compare(self) -> Comparison:
        now_us, position = self._database.now()
        slot = self._wait_until_confirmed(position)
        self._read_on()
        if slot.is_lost:  # nothing is on its way
            judged_until_us = now_us
        elif slot.confirmed >= position:
            judged_until_us = now_us - MARGIN_US
        else:  # changes come in the order of their commits, so what is later is on its way
            judged_until_us = self._captured.newest_us - MARGIN_US
        rows = self._database.rows(self._shapes, self._since_us)
        return compare(self._captured, rows, judged_until_us, self._still_there)

    def _still_there(self, rows: set[RowName]) -> set[RowName]:
        found: set[RowName] = set()
        for shape, some in self._in_parts(rows):
            found |= self._database.existing(shape, some)
        return found

    def _in_parts(self, rows: Iterable[RowName]) -> Iterator[tuple[Shape, list[RowName]]]:
        """Yield some rows of one table after the other, as many as a statement may name."""
        by_table: dict[str, list[RowName]] = defaultdict(list)
        for row in sorted(rows):
            by_table[row.table].append(row)
        for table, named in by_table.items():
            for start in range(0, len(named), ROWS_OF_A_SIGNAL_MAX):
                yield self._captured.shapes[table], named[start : start + ROWS_OF_A_SIGNAL_MAX]

    def _wait_until_confirmed(self, position: int) -> Slot:
        deadline = time.monotonic() + CONFIRMED_S_MAX
        while True:
            slot = self._database.slot()
            if slot.is_lost or slot.confirmed >= position or time.monotonic() > deadline:
                return slot
            time.sleep(POLL_S)

    def _archived(self, place: Place) -> Iterator[RowChange]:
        """Yield what the archive has of a partition, a file at a time."""
        files = self._archive.sizes(data_folder(place))
        self._next[place] = archived_until(self._archive, files)
        since_ms = self._since_us // 1000 - CLOCKS_APART_MS
        for file, size_bytes in files.items():
            if since_ms > 0 and newest_ms(self._archive.open(file, size_bytes)) < since_ms:
                continue
            yield from _changes(read_records(self._archive.get(file) or b""))

    def _read_on(self) -> None:
        by_place: dict[Place, list[Record]] = defaultdict(list)
        for record in self._kafka.read_all(self._next):
            by_place[record.place].append(record)
        for change in in_order([_changes(records) for records in by_place.values()]):
            self._captured.take(change)
        self._next |= {place: records[-1].offset + 1 for place, records in by_place.items()}


def _changes(records: Iterable[Record]) -> Iterator[RowChange]:
    return (change for change in map(read_change, records) if change is not None)
