"""The life of keys: every process comes to the same state from the times of creation alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.ids import Kid, is_kid, new_kid
from chassis.keystore.keys import (
    ACTIVATION,
    REREAD,
    RETIRING_MIN,
    Held,
    KeyInUse,
    Purpose,
    State,
    check_retirable,
    current_key,
    describe,
    next_created,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PURPOSE = Purpose.TOKEN_ENCRYPTION
SECONDS = st.integers(-10_000, 10_000)


def _key(age_s: float, purpose: Purpose = PURPOSE) -> Held[str]:
    return Held(new_kid(), purpose, NOW - timedelta(seconds=age_s), "the secret itself")


def test_a_key_is_known_everywhere_before_it_is_used_and_stays_longer_than_what_it_made() -> None:
    assert REREAD < ACTIVATION
    assert timedelta(minutes=15) + ACTIVATION < RETIRING_MIN


@given(ages_s=st.lists(SECONDS, min_size=1, max_size=6, unique=True))
def test_there_is_one_current_key_and_newer_ones_wait_and_older_ones_retire(
    ages_s: list[int],
) -> None:
    keys = [_key(age_s) for age_s in ages_s]

    states = [info.state for info in describe(keys, NOW)]

    assert states.count(State.CURRENT) == 1
    assert states == sorted(states, key=list(State).index)
    current = current_key(keys, PURPOSE, NOW)
    assert current.created + ACTIVATION <= NOW or current is min(keys, key=lambda k: k.created)


@given(ages_s=st.lists(SECONDS, min_size=1, max_size=6, unique=True), later_s=st.integers(0, 9999))
def test_the_current_key_never_goes_back(ages_s: list[int], later_s: int) -> None:
    keys = [_key(age_s) for age_s in ages_s]

    before = current_key(keys, PURPOSE, NOW)
    after = current_key(keys, PURPOSE, NOW + timedelta(seconds=later_s))

    assert before.created <= after.created


@given(ages_s=st.lists(SECONDS, min_size=1, max_size=6, unique=True))
def test_no_key_is_destroyed_that_was_current_within_the_hour(ages_s: list[int]) -> None:
    keys = [_key(age_s) for age_s in ages_s]
    used_lately = {
        current_key(keys, PURPOSE, NOW - timedelta(seconds=second)).kid
        for second in range(0, int(RETIRING_MIN.total_seconds()), 30)
    }

    for key in keys:
        if key.kid in used_lately or key.created + ACTIVATION > NOW:
            with pytest.raises(KeyInUse):
                check_retirable(keys, key, NOW)


@given(ages_s=st.lists(SECONDS, max_size=6))
def test_a_new_key_is_the_newest_whatever_the_clock_says(ages_s: list[int]) -> None:
    keys = [_key(age_s) for age_s in ages_s]

    created = next_created(keys, PURPOSE, NOW)

    assert created >= NOW
    assert all(key.created < created for key in keys)
    assert created.microsecond % 1000 == 0


def test_the_hour_begins_when_the_next_key_takes_over() -> None:
    old, new = _key(20_000), _key((ACTIVATION + RETIRING_MIN).total_seconds())

    check_retirable([old, new], old, NOW)

    with pytest.raises(KeyInUse):
        check_retirable([old, new], old, NOW - timedelta(milliseconds=1))


def test_purposes_have_nothing_to_do_with_each_other() -> None:
    keys = [
        _key(age_s, purpose)
        for age_s, purpose in zip((9, 99, 999, 9999, 99999), Purpose, strict=True)
    ]

    assert [info.state for info in describe(keys, NOW)] == [State.CURRENT] * 5
    for key in keys:
        with pytest.raises(KeyInUse):
            check_retirable(keys, key, NOW)


def test_ids_of_keys_are_told_apart_and_in_order() -> None:
    kids = [new_kid() for _ in range(50)]

    assert len(set(kids)) == 50
    assert all(is_kid(kid) for kid in kids)
    assert all(one[:13] <= two[:13] for one, two in pairwise(kids))
    assert not any(is_kid(text) for text in ("", "kid_", "kid_" + "0" * 23, "key_" + "0" * 24))


def test_no_text_of_a_key_shows_it() -> None:
    assert "secret" not in repr(_key(1))
    assert "secret" not in repr(describe([Held(Kid("kid_1"), PURPOSE, NOW, "the secret")], NOW))
