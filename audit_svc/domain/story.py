"""The story of a payment: each row change field by field, and the rows that come of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audit_svc.domain.record import Place, RowChange, read_change
from audit_svc.domain.record import Record as KafkaRecord


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A column's value before and after, as JSON has it; None where there was no row."""

    name: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Step:
    """A row change in a payment's story. service: whose database. offset: where in the topic.

    is_archived: whether it was found in the archive, else it is in Kafka alone yet.
    """

    service: str
    row_id: str
    change: RowChange
    place: Place
    offset: int
    is_archived: bool

    @property
    def fields(self) -> list[FieldChange]:
        """Return the columns that the change changed, in the table's order."""
        before, after = self.change.before or {}, self.change.after or {}
        return [
            FieldChange(name, before.get(name), after.get(name))
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name) or (name in before) != (name in after)
        ]


@dataclass(frozen=True, slots=True)
class Row:
    """What a row is after its last change. values: None if it was deleted, unless it was purged.

    gap: set where a change did not begin with what the one before left: something is missing.
    reread: set where something is missing and the row was read from its table since, so that it is
    right again, but how it became so is not known.
    is_archived: whether the last change was found in the archive, else it is in Kafka alone yet.
    """

    service: str
    table: str
    row_id: str
    values: dict[str, Any] | None
    gap: str | None
    reread: str | None
    is_purged: bool
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Story:
    """A payment's story: steps in the order in which they were committed, rows by table and id."""

    steps: tuple[Step, ...]
    rows: tuple[Row, ...]


def tell(archived: Iterable[KafkaRecord], recent: Iterable[KafkaRecord]) -> Story:
    """Put a story together from what is in the archive and what is in Kafka; both may repeat.

    Databases' clocks differ: two changes of different services may change places.
    """
    found: dict[tuple[Place, int], Step] = {}
    for records, is_archived in ((archived, True), (recent, False)):
        for record in records:
            step = _step(record, is_archived=is_archived)
            if step is not None:
                found.setdefault((record.place, record.offset), step)
    in_place = [found[where] for where in sorted(found)]
    return Story(steps=tuple(_by_time(in_place)), rows=tuple(_rebuilt(in_place)))


def last_rows(archived: Iterable[KafkaRecord], recent: Iterable[KafkaRecord]) -> list[Row]:
    """Return what rows are after the last of these changes, which need not be all of theirs."""
    return [replace(row, gap=None) for row in tell(archived, recent).rows]


def _step(record: KafkaRecord, *, is_archived: bool) -> Step | None:
    change = read_change(record)
    if change is None:
        return None
    row = change.after or change.before or {}
    service = record.topic.split(".")[1]
    row_id = str(row.get("id", ""))
    return Step(service, row_id, change, record.place, record.offset, is_archived)


def _by_time(in_place: Sequence[Step]) -> list[Step]:
    """Order by when changes were committed, never changing the order within a topic."""
    latest: dict[Place, int] = {}
    timed = []
    for step in in_place:
        at = max(step.change.committed_us, latest.get(step.place, 0))
        latest[step.place] = at
        timed.append((at, step.change.lsn or 0, step.place, step.offset, step))
    return [step for *_, step in sorted(timed, key=lambda one: one[:4])]


def _rebuilt(in_place: Sequence[Step]) -> list[Row]:
    rows: dict[tuple[str, str, str], Row] = {}
    alive: dict[tuple[str, str, str], dict[str, Any] | None] = {}
    for step in in_place:
        change = step.change
        key = (step.service, change.table, step.row_id)
        was = rows.get(key)
        gap, reread = (was.gap, was.reread) if was else (None, None)
        where = f"{step.place} offset {step.offset}"
        left = alive.get(key)
        is_known = change.is_reread or was is not None
        if change.op == "r" and is_known and (gap is not None or left != change.after):
            gap, reread = None, f"{where} was read again: changes before it are missing"
        elif change.op != "r" and gap is None and left != change.before:
            gap = f"{where} does not begin with what was there"
        values = change.before if change.is_purge else change.after
        rows[key] = Row(*key, values, gap, reread, change.is_purge, step.is_archived)
        alive[key] = change.after
    return list(rows.values())
