"""The same payment when a slot was lost under it, mended as it should be and in each wrong way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.faults.evidence import Change, Event, Evidence, Gap, Name
from tests.unit.fault_evidence import ATTEMPT_EVENTS, INTENT_EVENTS, a_change, one_payment

INTENT: Name = ("intent.payment_intents", "pi_1")
ATTEMPT: Name = ("txn.attempts", "att_1")
MINUTE_US = 60_000_000
SINCE_US, CHANGED_US, BEGUN_US, ENDED_US = 30_000_000, 70_000_000, 90_000_000, 95_000_000
BEFORE_MS, READ_MS = 20_000, 92_000


def mended(well: Evidence) -> Evidence:
    """Return the same when the slot held that the payment was begun and that it succeeded."""
    created, _, _, *others = well.changes
    row, *rows = well.rows
    return replace(
        well,
        changes=[replace(created, at_ms=BEFORE_MS), _reread(1, "succeeded", version=3), *others],
        rows=[replace(row, is_reread=True, changed_us=CHANGED_US), *rows],
        gaps=[
            Gap(
                "intent",
                SINCE_US,
                BEGUN_US,
                ENDED_US,
                is_slot_new=True,
                reread={INTENT},
                minutes={CHANGED_US // MINUTE_US},
            )
        ],
    )


def _reread(offset: int, status: str, *, version: int) -> Change:
    change = a_change(INTENT[0], offset, INTENT[1], None, status)
    return replace(change, version=version, at_ms=READ_MS, is_reread=True)


def mended_after_it_went_on(well: Evidence) -> Evidence:
    """Return the same when the slot held the middle alone, and the end came by the new one."""
    found = mended(well)
    created, reread, *others = found.changes
    end = a_change(INTENT[0], 1, INTENT[1], "processing", "succeeded")
    end = replace(end, version=3, at_ms=READ_MS)
    return replace(found, changes=[created, end, replace(reread, offset=2), *others])


def _with_gap(well: Evidence, **changes: Any) -> Evidence:
    found = mended(well)
    return replace(found, gaps=[replace(found.gaps[0], **changes)])


def reread_by_nobody(well: Evidence) -> Evidence:
    found = mended(well)
    row, *rows = found.rows
    changes = [change for change in found.changes if not change.is_reread]
    return replace(found, changes=changes, rows=[replace(row, is_reread=False), *rows])


def reread_unnamed(well: Evidence) -> Evidence:
    return _with_gap(well, reread=set(), minutes=set())


def changed_in_an_unnamed_minute(well: Evidence) -> Evidence:
    return _with_gap(well, minutes={0})


def named_without_a_minute(well: Evidence) -> Evidence:
    return _with_gap(well, minutes=set())


def repair_failed(well: Evidence) -> Evidence:
    return _with_gap(well, failure="RowsNotRead()")


def slot_not_made_anew(well: Evidence) -> Evidence:
    return _with_gap(well, is_slot_new=False)


def slot_lost_unmended(well: Evidence) -> Evidence:
    [captured] = well.captures
    return replace(well, captures=[replace(captured, slot="lost")])


def connector_failed(well: Evidence) -> Evidence:
    [captured] = well.captures
    return replace(well, captures=[replace(captured, states=["RUNNING", "FAILED"])])


def still_missing(well: Evidence) -> Evidence:
    found = mended(well)
    [captured] = found.captures
    return replace(found, captures=[replace(captured, lost=frozenset({INTENT}))])


def gone_unnamed(well: Evidence) -> Evidence:
    [captured] = well.captures
    return replace(well, captures=[replace(captured, gone=frozenset({INTENT}))], rows=well.rows[1:])


def gone_though_never_deleted(well: Evidence) -> Evidence:
    """A repair names as gone what no move of the domain deletes."""
    found = gone_unnamed(mended(well))
    [gap] = found.gaps
    return replace(found, gaps=[replace(gap, gone=frozenset({INTENT}))])


def told_as_reread_for_nothing(well: Evidence) -> Evidence:
    row, *rows = well.rows
    return replace(well, rows=[replace(row, is_reread=True), *rows])


def reread_as_what_it_can_not_be(well: Evidence) -> Evidence:
    """The archive had the end of the payment, and then reads another one."""
    found = mended(well)
    created, _, *others = found.changes
    end = replace(created, after="failed", version=1)
    return replace(found, changes=[end, _reread(1, "succeeded", version=3), *others])


def reread_before_the_last_gap(well: Evidence) -> Evidence:
    """A change is missing between the row that was read again and its next change."""
    found = mended(well)
    created, _, *others = found.changes
    end = a_change(INTENT[0], 2, INTENT[1], "processing", "succeeded")
    end = replace(end, at_ms=READ_MS)
    return replace(found, changes=[created, _reread(1, "created", version=1), end, *others])


def torn_before_the_repair(well: Evidence) -> Evidence:
    """Capture left a change out though the slot was whole."""
    found = mended_after_it_went_on(well)
    created, end, *others = found.changes
    return replace(found, changes=[created, replace(end, at_ms=BEFORE_MS), *others])


def told_what_can_not_have_been(well: Evidence) -> Evidence:
    found = mended(well)
    first, second, *others = found.events
    return replace(found, events=[first, replace(second, status="canceled"), *others])


def deleted_uncaptured(well: Evidence) -> Evidence:
    """Return the same when the slot also held that a claim of a card was given up."""
    found = mended(well)
    [gap], [captured], [*rows, _] = found.gaps, found.captures, found.rows
    claim = ("txn.transactions", "txn_gone")
    pending = replace(a_change(*_place(claim), None, "pending"), at_ms=BEFORE_MS)
    gone = frozenset({claim})
    told = replace(rows[0], table=claim[0], id=claim[1], told={"id": claim[1]}, kept=None)
    told = replace(told, is_reread=False, changed_us=None)
    return replace(
        found,
        changes=[*found.changes, pending],
        rows=[*rows, told],
        gaps=[gap, replace(gap, service="txn", reread=set(), gone=gone)],
        captures=[captured, replace(captured, service="txn", gone=gone)],
    )


def _place(name: Name) -> tuple[str, int, str]:
    return name[0], 9, name[1]


def outcome_overtakes(well: Evidence) -> Evidence:
    """Return the same when a repair made the slot of txn anew between an attempt and its outcome.

    The outcome is captured at once, what was recorded just before waits for the relay.
    """
    [gap] = mended(well).gaps
    recorded, outcome = ATTEMPT_EVENTS
    mending = replace(gap, service="txn", reread=set(), minutes=set())
    return replace(
        well,
        events=[*INTENT_EVENTS, replace(recorded, offset=1), replace(outcome, offset=0)],
        outbox=well.outbox | {recorded.id: BEGUN_US - 1, outcome.id: BEGUN_US + 1},
        gaps=[mending],
    )


def outcome_overtakes_later(well: Evidence) -> Evidence:
    return _written(outcome_overtakes(well), ENDED_US + 1, ENDED_US + 2)


def outcome_overtakes_earlier(well: Evidence) -> Evidence:
    return _written(outcome_overtakes(well), BEGUN_US - 2, BEGUN_US - 1)


def outcome_overtakes_elsewhere(well: Evidence) -> Evidence:
    found = outcome_overtakes(well)
    return replace(found, gaps=[replace(found.gaps[0], service="intent")])


def _written(found: Evidence, *written_us: int) -> Evidence:
    events: list[Event] = ATTEMPT_EVENTS
    named = {event.id: at_us for event, at_us in zip(events, written_us, strict=True)}
    return replace(found, outbox=found.outbox | named)


WELL = [
    make(one_payment())
    for make in (mended, mended_after_it_went_on, deleted_uncaptured, outcome_overtakes)
]
