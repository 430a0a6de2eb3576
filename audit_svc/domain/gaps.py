"""What a database's tables hold and the archive does not: found row by row, told minute by minute.

A row of a table and the last image that the archive has of it are made the same JSON (`Shape`), and
a digest of that is all that is kept of either.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from audit_svc.domain.record import RowChange

MINUTE_US = 60_000_000

Key = tuple[Any, ...]


class RowsNotRead(Exception):
    """Debezium did not read rows again that it was told to."""


class RowName(NamedTuple):
    """A row: its table, and its primary key in the order of the table's columns."""

    table: str
    key: Key


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns. key: those of its primary key. types: column → PostgreSQL's type."""

    table: str
    key: tuple[str, ...]
    types: Mapping[str, str]

    def name_of(self, row: Mapping[str, Any]) -> RowName:
        """Return which row an image is of."""
        return RowName(self.table, tuple(row[column] for column in self.key))

    def normal(self, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return an image as Debezium tells it in the form in which a database is asked for it.

        See audit_svc/store/tables.py, which asks.
        """
        return {name: self._normal(self.types.get(name), told) for name, told in image.items()}

    def _normal(self, type_: str | None, told: Any) -> Any:
        if told is None:
            return None
        if type_ == "timestamp with time zone":
            at = datetime.fromisoformat(told)
            return int(at.timestamp()) * 1_000_000 + at.microsecond
        return told.removesuffix("Z") if type_ == "date" else told


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row as a database has it. values: in the form that Shape.normal returns.

    changed_us: when it was committed, microseconds since 1970; None if that is long ago.
    """

    name: RowName
    values: Mapping[str, Any]
    changed_us: int | None


@dataclass(frozen=True, slots=True)
class Captured:
    """The last that the archive has of a row. digest: of its image, None once it was deleted.

    columns: those that the image has. is_torn: whether changes before it are missing, and the row
    was not read again since.
    """

    columns: tuple[str, ...]
    digest: bytes | None
    committed_us: int
    is_torn: bool


class CapturedRows:
    """The rows of a database as their changes leave them, once they were taken in their order.

    is_whole: whether all changes are taken, from the first one on, so that a row that is not known
    is a row that was not captured. newest_us: up to when changes were captured.
    """

    def __init__(self, shapes: Iterable[Shape], *, is_whole: bool) -> None:
        self.shapes = {shape.table: shape for shape in shapes}
        self._is_whole = is_whole
        self.rows: dict[RowName, Captured] = {}
        self.newest_us = 0

    def take(self, change: RowChange) -> None:
        """Take the next change of a row."""
        image = change.after or change.before
        shape = self.shapes.get(change.table)
        if image is None or shape is None:
            return
        name = shape.name_of(image)
        columns = tuple(sorted(image))
        digest = None if change.after is None else digest_of(shape.normal(image), columns)
        is_torn = change.op != "r" and self._is_torn(shape, name, change.before)
        self.rows[name] = Captured(columns, digest, change.committed_us, is_torn)
        if change.op != "r":
            self.newest_us = max(self.newest_us, change.committed_us)

    def _is_torn(self, shape: Shape, name: RowName, before: dict[str, Any] | None) -> bool:
        """Return whether a change does not begin with what the one before it left."""
        known = self.rows.get(name)
        if known is None:
            return self._is_whole and before is not None
        if known.digest is None:
            return before is not None
        begins = None if before is None else digest_of(shape.normal(before), known.columns)
        return known.is_torn or begins != known.digest


def in_order(partitions: Iterable[Iterable[RowChange]]) -> Iterator[RowChange]:
    """Yield the changes of a topic's partitions as the database's log has them.

    A row's changes lie in several where its table is not keyed by a column that each row has, and
    never changes.
    """
    return heapq.merge(*partitions, key=_position)


def _position(change: RowChange) -> int:
    return change.lsn or 0


def digest_of(values: Mapping[str, Any], columns: Iterable[str]) -> bytes:
    """Return the digest of some columns of a row."""
    told = orjson.dumps([values.get(column) for column in columns])
    return hashlib.blake2b(told, digest_size=16).digest()


@dataclass
class Minute:
    """The rows that were changed last in one minute of the database's clock.

    rows: of the tables. captured: how many the archive has as they are. The digests are the sums of
    those of the rows, by what the tables and by what the archive has of them.
    """

    start_us: int
    rows: int = 0
    captured: int = 0
    digest: int = 0
    captured_digest: int = 0

    @property
    def digests(self) -> tuple[str, str]:
        """Both digests, hex."""
        return _hex(self.digest), _hex(self.captured_digest)

    @property
    def is_equal(self) -> bool:
        """Whether the archive has all of it."""
        return self.rows == self.captured and self.digest == self.captured_digest


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    judged_until_us: what was changed later may be on its way, and only rows that miss an earlier
    change are judged.

    lost: rows that the archive has not or has otherwise, or of which it misses a change.
    gone: those that it has and the tables have not, though it knows of no delete.
    unequal: the minutes that are not equal, by time. rows: how many were judged.
    """

    judged_until_us: int
    rows: int
    lost: frozenset[RowName]
    gone: frozenset[RowName]
    unequal: tuple[Minute, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the archive has everything."""
        return not (self.lost or self.gone)

    @property
    def verified_until_us(self) -> int:
        """The end of the last minute up to which the archive has everything."""
        ends = [self.judged_until_us, *(minute.start_us for minute in self.unequal)]
        return min(ends) // MINUTE_US * MINUTE_US


def compare(
    captured: CapturedRows,
    rows: Iterable[TableRow],
    judged_until_us: int,
    still_there: Callable[[set[RowName]], set[RowName]],
) -> Comparison:
    """Compare what is captured with the rows of all tables, which were read after it.

    still_there: asked which of some rows are in the tables though they are not among `rows`.
    """
    minutes: dict[int, Minute] = defaultdict(lambda: Minute(0))
    lost, found = set(), set()
    for row in rows:
        found.add(row.name)
        known = captured.rows.get(row.name)
        changed_us = row.changed_us or (known.committed_us if known else 0)
        is_torn = known is not None and known.is_torn  # which nothing on its way would mend
        if row.changed_us is not None and row.changed_us > judged_until_us and not is_torn:
            continue
        minute = _minute(minutes, changed_us)
        columns = known.columns if known else tuple(sorted(row.values))
        digest = digest_of(row.values, columns)
        minute.rows += 1
        minute.digest += int.from_bytes(digest)
        if known is not None and known.digest is not None:
            minute.captured += not known.is_torn
            minute.captured_digest += int.from_bytes(known.digest)
        if known is None or known.is_torn or known.digest != digest:
            lost.add(row.name)
    gone = {
        name
        for name, known in captured.rows.items()
        if name not in found and known.digest is not None
    }
    gone -= still_there(gone)
    for name in gone:
        minute = _minute(minutes, captured.rows[name].committed_us)
        minute.captured += 1
    unequal = sorted((each for each in minutes.values() if not each.is_equal), key=_start)
    judged = sum(minute.rows for minute in minutes.values())
    return Comparison(judged_until_us, judged, frozenset(lost), frozenset(gone), tuple(unequal))


def _minute(minutes: dict[int, Minute], at_us: int) -> Minute:
    start_us = at_us // MINUTE_US * MINUTE_US
    minute = minutes[start_us]
    minute.start_us = start_us
    return minute


def _hex(digest: int) -> str:
    return f"{digest % (1 << 128):032x}"


def _start(minute: Minute) -> int:
    return minute.start_us
