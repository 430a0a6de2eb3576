"""Cards: refused by name, kept by four digits, never printed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from chassis.card_numbers import passes_luhn
from chassis.errors import DomainError
from txn_svc.domain.card import (
    MASTERCARD,
    VISA,
    CardBrandNotSupported,
    CardFields,
    Pan,
    brand_of,
    check_card,
)

TODAY = date(2026, 11, 24)
GOOD = CardFields("4242424242424242", 12, 2034, "123")


@pytest.mark.parametrize(
    ("fields", "reason", "param"),
    [
        (replace(GOOD, number=None), "PARAMETER_MISSING", "card.number"),
        (replace(GOOD, number=""), "PARAMETER_MISSING", "card.number"),
        (replace(GOOD, exp_month=None), "PARAMETER_MISSING", "card.exp_month"),
        (replace(GOOD, exp_year=None), "PARAMETER_MISSING", "card.exp_year"),
        (replace(GOOD, cvc=None), "PARAMETER_MISSING", "card.cvc"),
        (replace(GOOD, number="4242424242424241"), "INCORRECT_NUMBER", "card.number"),
        (replace(GOOD, number="4242 4242 4242 4242"), "INCORRECT_NUMBER", "card.number"),
        (replace(GOOD, number="٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"), "INCORRECT_NUMBER", "card.number"),
        (replace(GOOD, number="42"), "INCORRECT_NUMBER", "card.number"),
        (replace(GOOD, number="378282246310005"), "CARD_BRAND_NOT_SUPPORTED", "card.number"),
        (replace(GOOD, exp_month=0), "INVALID_EXPIRY_MONTH", "card.exp_month"),
        (replace(GOOD, exp_month=13), "INVALID_EXPIRY_MONTH", "card.exp_month"),
        (replace(GOOD, exp_year=34), "INVALID_EXPIRY_YEAR", "card.exp_year"),
        (replace(GOOD, exp_year=2100), "INVALID_EXPIRY_YEAR", "card.exp_year"),
        (replace(GOOD, exp_year=2026, exp_month=10), "EXPIRED_CARD", "card.exp_year"),
        (replace(GOOD, cvc="12"), "INVALID_CVC", "card.cvc"),
        (replace(GOOD, cvc="12a"), "INVALID_CVC", "card.cvc"),
    ],
)
def test_a_bad_card_is_refused_by_name(fields: CardFields, reason: str, param: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_card(fields, TODAY)

    assert (refused.value.reason, refused.value.param) == (reason, param)
    assert (
        fields.number is None or len(fields.number) < 12 or fields.number not in str(refused.value)
    )


def test_a_card_is_good_to_the_end_of_its_month() -> None:
    assert check_card(replace(GOOD, exp_year=2026, exp_month=11), TODAY).exp_month == 11


def test_no_text_of_a_card_shows_its_number() -> None:
    card = check_card(GOOD, TODAY)

    for text in (repr(card), str(card), repr(card.pan), f"{card.pan}", repr(GOOD)):
        assert "4242424242424242" not in text
        assert "123" not in text


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4242424242424242", VISA),
        ("5555555555554444", MASTERCARD),
        ("2223003122003222", MASTERCARD),
        ("2720990000000007", MASTERCARD),
    ],
)
def test_the_first_digits_say_the_network(number: str, brand: object) -> None:
    assert passes_luhn(number)
    assert brand_of(Pan(number)) is brand


@pytest.mark.parametrize("number", ["2220990000000000", "2721000000000000", "6011111111111117"])
def test_other_networks_are_not_reached(number: str) -> None:
    with pytest.raises(CardBrandNotSupported):
        brand_of(Pan(number))
