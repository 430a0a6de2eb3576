"""The capture of all databases, and what the repair of a lost slot said that it left out."""

from __future__ import annotations

from collections.abc import Iterator

from audit_svc.domain.gaps import MINUTE_US
from sandbox.platform.connectors import RUNNING
from tests.faults.checks.finding import Finding, Violation
from tests.faults.checks.trail import reaches
from tests.faults.evidence import Captured, Evidence, Gap, Kept, Name

WHOLE = {"reserved", "extended"}  # PostgreSQL has all WAL that the slot needs


def what_a_lost_slot_held_is_read_again_and_named(evidence: Evidence) -> Finding:
    """Rows that changed uncaptured are read again, no others; after that nothing is missing.

    A row that was deleted uncaptured can't be read again: it has to be named as gone.
    """
    violations: list[Violation] = []
    for captured in evidence.captures:
        violations += _missing(evidence, captured)
    for gap in evidence.gaps:
        violations += _badly_mended(evidence, gap)
    mended = {name for gap in evidence.gaps for name in gap.reread}
    violations += [
        Violation(row.id, "is told of as read again, and no repair names it")
        for row in evidence.rows
        if row.is_reread and (row.table, row.id) not in mended
    ]
    figures = {
        "rows": sum(captured.rows for captured in evidence.captures),
        "slots lost": len(evidence.gaps),
        "minutes named": sum(len(gap.minutes) for gap in evidence.gaps),
        "rows read again": len(mended),
        "rows gone": sum(len(gap.gone) for gap in evidence.gaps),
    }
    return Finding("what a lost slot held is read again and named", figures, violations)


def _missing(evidence: Evidence, captured: Captured) -> Iterator[Violation]:
    """Yield what is not as it is when all of a database is captured."""
    if captured.states != RUNNING or captured.slot not in WHOLE:
        what = f"is {captured.states}, its slot is {captured.slot}"
        yield Violation(captured.service, f"the connector {what}")
    for _, row_id in sorted(captured.lost):
        yield Violation(row_id, f"is in {captured.service} otherwise than captured")
    for _, row_id in sorted(captured.gone - _deleted(evidence)):
        yield Violation(row_id, f"is captured, and gone from {captured.service}")


def _badly_mended(evidence: Evidence, gap: Gap) -> Iterator[Violation]:
    """Yield what contradicts what a repair said it did."""
    if gap.failure:
        yield Violation(gap.service, f"was not mended: {gap.failure}")
    if not gap.is_slot_new:
        yield Violation(gap.service, "has no new slot")
    if bool(gap.minutes) != bool(gap.reread or gap.gone):
        yield Violation(gap.service, f"misses rows, and minutes are {gap.minutes}")
    rows = {(row.table, row.id): row for row in evidence.rows}
    for name, row in rows.items():
        if row.table.startswith(f"{gap.service}."):
            yield from _unnamed(gap, name, row)
    for name in sorted(gap.reread):
        is_deleted = name in rows and rows[name].kept is None
        if name not in rows or not (rows[name].is_reread or is_deleted):
            yield Violation(name[1], "is named by a repair, and told of as if nothing was missing")


def _unnamed(gap: Gap, name: Name, row: Kept) -> Iterator[Violation]:
    """Yield what a repair does not say of a row that changed last while nothing was captured."""
    if row.changed_us is None or not gap.since_us < row.changed_us < gap.begun_us:
        return
    if name not in gap.reread:
        yield Violation(row.id, "changed while nothing was captured, and no repair names it")
    if row.changed_us // MINUTE_US not in gap.minutes:
        yield Violation(row.id, "changed in a minute that no repair names")


def _deleted(evidence: Evidence) -> set[Name]:
    """Return the rows that repairs name as gone, and that may have been deleted uncaptured."""
    kept = {(row.table, row.id) for row in evidence.rows if row.kept is not None}
    in_order = sorted(evidence.changes, key=lambda change: (change.partition, change.offset))
    left = {change.name: change.after for change in in_order}
    gone = {name for gap in evidence.gaps for name in gap.gone}
    return {name for name in gone - kept if reaches(name[0], left.get(name), None)}
