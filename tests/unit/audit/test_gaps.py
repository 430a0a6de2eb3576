"""A database's rows against what is captured of them: what is lost, minute by minute."""

from __future__ import annotations

from typing import Any

import pytest

from audit_svc.domain.gaps import (
    MINUTE_US,
    CapturedRows,
    Comparison,
    RowName,
    Shape,
    TableRow,
    compare,
    in_order,
)
from audit_svc.domain.record import RowChange

SHAPE = Shape(
    "payment_intents",
    ("merchant_id", "id"),
    {
        "merchant_id": "text",
        "id": "text",
        "version": "integer",
        "created": "timestamp with time zone",
    },
)
NOON_US = 1_772_366_400_000_000
NOW_US = NOON_US + 60 * MINUTE_US
CREATED = "2026-03-01T12:00:00.5Z"


def _image(intent: str, version: int = 1, **more: Any) -> dict[str, Any]:
    """Return an image as Debezium tells it."""
    return {"merchant_id": "mer_1", "id": intent, "version": version, "created": CREATED, **more}


def _name(intent: str) -> RowName:
    return RowName("payment_intents", ("mer_1", intent))


def _row(intent: str, version: int = 1, minute: int | None = 0) -> TableRow:
    """Return a row as the database has it, changed last in some minute after noon."""
    values = SHAPE.normal(_image(intent, version))
    changed_us = None if minute is None else NOON_US + minute * MINUTE_US + 7
    return TableRow(_name(intent), values, changed_us)


def _change(
    before: dict[str, Any] | None, after: dict[str, Any] | None, *, op: str = "u", minute: int = 0
) -> RowChange:
    at_us = NOON_US + minute * MINUTE_US + 7
    return RowChange(op, SHAPE.table, before, after, at_us, 1, 9000 + minute, is_reread=op == "r")


OLD = {_name("pi_old")}  # changed long ago


def _captured(*changes: RowChange, is_whole: bool = True) -> CapturedRows:
    captured = CapturedRows([SHAPE], is_whole=is_whole)
    for change in changes:
        captured.take(change)
    return captured


def _compared(captured: CapturedRows, *rows: TableRow, until_us: int = NOW_US) -> Comparison:
    return compare(captured, rows, until_us, lambda names: names & OLD)


ONE = _change(None, _image("pi_1"), op="c")
TWO = _change(_image("pi_1"), _image("pi_1", 2), minute=1)
THREE = _change(_image("pi_1", 2), _image("pi_1", 3), minute=2)


def test_rows_that_are_captured_as_they_are_are_verified_up_to_now() -> None:
    found = _compared(_captured(ONE, TWO), _row("pi_1", 2, 1))

    assert found.is_clean
    assert (found.rows, found.unequal) == (1, ())
    assert found.verified_until_us == NOW_US


LOST = [
    ("a row that is not captured", [], _row("pi_1")),
    ("a row that is captured as it was before", [ONE], _row("pi_1", 2)),
    ("a change between two others", [ONE, THREE], _row("pi_1", 3)),
    ("the first change", [TWO], _row("pi_1", 2)),
    ("a row that is captured as deleted", [ONE, _change(_image("pi_1"), None)], _row("pi_1")),
    ("a row that nobody knows when it was changed", [ONE], _row("pi_1", 2, None)),
]


@pytest.mark.parametrize(
    ("changes", "row"), [case[1:] for case in LOST], ids=[case[0] for case in LOST]
)
def test_what_is_lost_is_found(changes: list[RowChange], row: TableRow) -> None:
    found = _compared(_captured(*changes), row)

    assert found.lost == {_name("pi_1")}
    [minute] = found.unequal
    assert found.verified_until_us == minute.start_us
    assert minute.rows == 1


def test_a_minute_says_how_many_of_its_rows_are_captured_and_the_others_stay_out_of_it() -> None:
    captured = _captured(ONE, _change(None, _image("pi_2"), op="c", minute=5))

    found = _compared(
        captured, _row("pi_1"), _row("pi_2", minute=5), _row("pi_3", minute=5), _row("pi_4")
    )

    assert found.lost == {_name("pi_3"), _name("pi_4")}
    assert [(each.start_us, each.rows, each.captured) for each in found.unequal] == [
        (NOON_US, 2, 1),
        (NOON_US + 5 * MINUTE_US, 2, 1),
    ]
    assert all(left != right for left, right in (each.digests for each in found.unequal))


def test_a_row_that_changed_later_than_is_judged_may_be_on_its_way() -> None:
    found = _compared(
        _captured(ONE), _row("pi_1", 2, 3), _row("pi_2", minute=4), until_us=NOON_US + MINUTE_US
    )

    assert found.is_clean
    assert found.rows == 0
    assert found.verified_until_us == NOON_US + MINUTE_US


def test_a_row_that_misses_a_change_is_lost_however_late_it_changed() -> None:
    """Nothing that is on its way can mend it; it has to be read again."""
    captured = _captured(ONE, THREE)

    found = _compared(captured, _row("pi_1", 3, 2), until_us=NOON_US + MINUTE_US)

    assert found.lost == {_name("pi_1")}


def test_a_row_that_was_read_again_is_whole_and_what_comes_after_it_too() -> None:
    reread = _change(None, _image("pi_1", 3), op="r", minute=9)
    fourth = _change(_image("pi_1", 3), _image("pi_1", 4), minute=10)

    assert _compared(_captured(ONE, THREE, reread), _row("pi_1", 3, 2)).is_clean
    assert _compared(_captured(ONE, reread, fourth), _row("pi_1", 4, 10)).is_clean


def test_a_row_that_is_gone_without_a_delete_is_reported_and_is_not_to_be_read() -> None:
    deleted = _change(_image("pi_2"), None, op="d")
    captured = _captured(ONE, _change(None, _image("pi_2"), op="c"), deleted)

    found = _compared(captured)

    assert found.lost == frozenset()
    assert found.gone == {_name("pi_1")}
    assert not found.is_clean
    assert found.verified_until_us == NOON_US


def test_a_column_that_the_last_image_does_not_have_is_not_compared() -> None:
    image = _image("pi_1")
    del image["created"]

    assert _compared(_captured(_change(None, image, op="c")), _row("pi_1")).is_clean


def test_a_column_that_came_later_does_not_tear_a_row() -> None:
    old = {name: told for name, told in _image("pi_1").items() if name != "created"}
    captured = _captured(_change(None, old, op="c"), TWO)

    assert _compared(captured, _row("pi_1", 2, 1)).is_clean


def test_changes_of_a_row_that_lie_in_several_partitions_are_taken_in_their_order() -> None:
    captured = _captured(*in_order([[TWO], [ONE, THREE]]))

    assert _compared(captured, _row("pi_1", 3, 2)).is_clean


def test_a_row_of_which_earlier_changes_were_left_out_is_not_torn() -> None:
    assert _compared(_captured(TWO, is_whole=False), _row("pi_1", 2, 1)).is_clean
    assert _compared(_captured(TWO, is_whole=False), _row("pi_1", 3, 2)).lost == {_name("pi_1")}


def test_a_row_that_was_left_out_because_it_is_old_is_not_gone() -> None:
    reread = _change(None, _image("pi_old"), op="r", minute=9)

    assert _compared(_captured(reread, is_whole=False)).is_clean


def test_what_was_read_again_does_not_say_how_far_the_capture_is() -> None:
    captured = _captured(ONE, _change(None, _image("pi_1"), op="r", minute=9))

    assert captured.newest_us == ONE.committed_us


def test_times_and_dates_are_compared_as_the_database_has_them() -> None:
    shape = Shape("t", ("id",), {"at": "timestamp with time zone", "day": "date", "id": "bigint"})

    assert shape.normal({"at": CREATED, "day": "2026-03-01Z", "id": 7}) == {
        "at": NOON_US + 500_000,
        "day": "2026-03-01",
        "id": 7,
    }
    assert shape.normal({"at": None, "day": None}) == {"at": None, "day": None}
