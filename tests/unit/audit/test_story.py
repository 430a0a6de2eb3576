"""A payment's story: field by field, each change once; rows are rebuilt, or a gap shows."""

from __future__ import annotations

from typing import Any

import pytest

from audit_svc.domain.record import Place, Record
from audit_svc.domain.story import Row, Step, tell
from audit_svc.handlers.history import archived_until, find, since_then
from tests.unit.audit.parts import (
    INTENT,
    PLACE,
    STARTED_MS,
    Ground,
    a_change,
    a_deletion,
    a_record,
    a_reread,
)

ATTEMPTS = Place("cdc.txn.attempts", 3)
CREATED: dict[str, Any] = {"id": INTENT, "status": "created", "version": 1, "note": None}
PROCESSING = CREATED | {"status": "processing", "version": 2}
FAILED = PROCESSING | {"status": "failed", "version": 3, "note": "declined"}
STORY = [
    a_change(0, None, CREATED),
    a_change(4, CREATED, PROCESSING),
    a_change(9, PROCESSING, FAILED),
]


def _fields(step: Step) -> list[tuple[str, object, object]]:
    return [(field.name, field.before, field.after) for field in step.fields]


def _row(
    values: dict[str, Any] | None,
    gap: str | None = None,
    reread: str | None = None,
    *,
    is_archived: bool = True,
) -> Row:
    return Row("intent", "payment_intents", INTENT, values, gap, reread, False, is_archived)


def test_each_change_says_what_it_changed() -> None:
    story = tell(STORY[:2], STORY[2:])

    assert [_fields(step) for step in story.steps] == [
        [(name, None, value) for name, value in CREATED.items()],
        [("status", "created", "processing"), ("version", 1, 2)],
        [("status", "processing", "failed"), ("version", 2, 3), ("note", None, "declined")],
    ]
    assert [step.is_archived for step in story.steps] == [True, True, False]
    assert [step.change.tx_id for step in story.steps] == [700, 704, 709]
    assert story.rows == (_row(FAILED, is_archived=False),)


def test_what_is_in_the_archive_and_in_kafka_is_told_once() -> None:
    story = tell(STORY, STORY)

    assert len(story.steps) == 3
    assert all(step.is_archived for step in story.steps)
    assert story.rows == (_row(FAILED),)


def test_a_change_that_is_missing_shows_as_a_gap() -> None:
    story = tell([STORY[0], STORY[2]], [])

    gap = f"{PLACE} offset 9 does not begin with what was there"
    assert story.rows == (_row(FAILED, gap),)


@pytest.mark.parametrize("before", [[], [STORY[0]], [STORY[0], STORY[2]]])
def test_a_row_that_was_read_again_is_right_and_says_that_changes_are_missing(
    before: list[Record],
) -> None:
    story = tell([*before, a_reread(20, FAILED)], [])

    told = f"{PLACE} offset 20 was read again: changes before it are missing"
    assert story.rows == (_row(FAILED, None, told),)
    assert story.steps[-1].change.is_reread


def test_a_row_that_was_read_again_though_nothing_was_missing_is_as_it_was() -> None:
    assert tell([*STORY, a_reread(20, FAILED)], []).rows == (_row(FAILED),)


def test_a_row_that_was_there_when_the_capture_began_misses_nothing() -> None:
    story = tell([a_reread(0, PROCESSING, snapshot="first"), STORY[2]], [])

    assert story.rows == (_row(FAILED),)
    assert not story.steps[0].change.is_reread


def test_a_row_of_which_a_new_beginning_knows_more_misses_changes() -> None:
    [row] = tell([STORY[0], a_reread(4, FAILED, snapshot="true")], []).rows

    assert (row.values, row.gap) == (FAILED, None)
    assert row.reread is not None


def test_a_change_that_is_missing_after_a_row_was_read_again_shows_as_a_gap() -> None:
    [row] = tell([STORY[0], a_reread(4, PROCESSING), a_change(9, CREATED, FAILED)], []).rows

    assert row.gap is not None
    assert row.reread is not None


def test_a_first_change_that_is_missing_shows_as_a_gap() -> None:
    assert tell(STORY[1:], []).rows[0].gap is not None


def test_a_row_that_was_deleted_is_told_of_as_deleted() -> None:

    deleted = b'{"op":"d","before":%s,"after":null,"source":%s}'
    source = b'{"table":"payment_intents","ts_us":1,"txId":1,"lsn":1}'
    after = STORY[0].value
    assert after is not None
    row = after[after.index(b'"after":') + 8 : after.index(b',"op"')]
    gone = a_record(10, deleted % (row, source))

    assert tell([STORY[0], gone], []).rows == (_row(None),)


def test_changes_of_services_are_told_by_time_and_those_of_a_topic_as_they_lie() -> None:
    attempt = {"id": "att_1", "status": "recorded"}
    other = a_change(2, None, attempt, place=ATTEMPTS)

    story = tell([*STORY, other], [])

    assert [(step.place.topic, step.offset) for step in story.steps] == [
        (PLACE.topic, 0),
        (ATTEMPTS.topic, 2),
        (PLACE.topic, 4),
        (PLACE.topic, 9),
    ]
    assert {(row.service, row.row_id) for row in story.rows} == {
        ("intent", INTENT),
        ("txn", "att_1"),
    }


def test_a_row_that_was_purged_is_what_it_was(ground: Ground) -> None:
    marked = FAILED | {"purged": "2027-04-05T06:07:08Z"}
    purge = [a_change(10, FAILED, marked), a_deletion(11, marked)]

    [row] = tell([*STORY, *purge], []).rows
    assert (row.values, row.gap, row.is_purged) == (marked, None, True)
    [deleted] = tell([*STORY, a_deletion(10, FAILED)], []).rows
    assert (deleted.values, deleted.gap, deleted.is_purged) == (None, None, False)


def test_what_is_no_row_change_is_no_part_of_a_story() -> None:
    assert tell([a_record(0), a_record(1, None), a_record(2, b"{}")], []).steps == ()


def test_a_payment_is_found_among_others_in_many_files(ground: Ground) -> None:
    others = [
        a_change(offset, key=f"pi_{offset}") for offset in range(12) if offset not in (0, 4, 9)
    ]
    topic = sorted([*STORY, *others], key=lambda record: record.offset)
    for start in range(0, 12, 3):
        ground.write(topic[start : start + 3])
    files = ground.archive.sizes(f"data/{PLACE}")

    found: list[Record] = find(ground.archive, [files], [INTENT.encode()], since_ms=0)
    late = find(ground.archive, [files], [INTENT.encode()], since_ms=STARTED_MS + 9)

    assert found == STORY
    assert [record.offset for record in late] == [9]
    assert find(ground.archive, [files], [b"pi_unknown"], since_ms=0) == []
    young = since_then(ground.archive, files, STARTED_MS + 9)
    assert young == list(files.items())[3:]
    assert archived_until(ground.archive, files) == 12
