"""Money: minor units, never negative, one currency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.money import CURRENCIES, Money


def test_currencies_come_from_iso_4217() -> None:
    assert CURRENCIES["usd"].numeric == "840"
    assert (CURRENCIES["usd"].exponent, CURRENCIES["jpy"].exponent, CURRENCIES["kwd"].exponent) == (
        2,
        0,
        3,
    )


@given(st.integers(max_value=-1))
def test_negative_amounts_do_not_exist(amount: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        Money(amount, "usd")


def test_unknown_currencies_do_not_exist() -> None:
    with pytest.raises(ValueError, match="currency"):
        Money(1, "xyz")
