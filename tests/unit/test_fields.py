"""Checks of fields that resources of several services have."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chassis.errors import ParameterInvalid
from chassis.fields import check_overlap, check_text


@pytest.mark.parametrize("text", ["", "Order 6735", "x" * 20, "\u00e9" * 20])
def test_a_text_may_be_as_long_as_its_field(text: str) -> None:
    assert check_text(text, 20, "description") == text


@pytest.mark.parametrize("text", ["x" * 21, "a\0b", "4242424242424242"])
def test_a_text_that_can_t_be_kept_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        check_text(text, 20, "description")

    assert refused.value.param == "description"


@pytest.mark.parametrize(
    ("overlap_s", "overlap"),
    [(None, timedelta(days=1)), (0, timedelta()), (604_800, timedelta(days=7))],
)
def test_what_was_replaced_works_for_a_day_unless_said_otherwise(
    overlap_s: int | None, overlap: timedelta
) -> None:
    assert check_overlap(overlap_s) == overlap


@pytest.mark.parametrize("overlap_s", [-1, 604_801])
def test_what_was_replaced_works_for_a_week_at_most(overlap_s: int) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        check_overlap(overlap_s)

    assert refused.value.param == "overlapInSeconds"
