"""What is taken for a card number, in what is written down and in what merchants send."""

from __future__ import annotations

import re
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.card_numbers import hide_card_numbers, holds_card_number, is_issued, passes_luhn
from chassis.ids import new_id, new_merchant_id

FIRST_DIGITS = (
    *(("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15)),
    *(("300", 14), ("36", 14), ("38", 14), ("3528", 16), ("3589", 16), ("6011", 16), ("65", 16)),
    ("62", 16),
)
DASHES_AND_SPACES = [" ", "-", "\u00a0", "\u2009", "\u2011", "\u2013", "\u2212", "\n", "\t", "  "]
MARKS = [".", "_", "/", " - "]


def with_check_digit(digits: str) -> str:
    """Return the digits with the one that makes them pass Luhn."""
    return next(f"{digits}{last}" for last in range(10) if passes_luhn(f"{digits}{last}"))


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    first, length = draw(st.sampled_from(FIRST_DIGITS))
    rest = length - len(first) - 1
    return with_check_digit(first + draw(st.text("0123456789", min_size=rest, max_size=rest)))


@st.composite
def spelt_card_numbers(draw: st.DrawFn) -> str:
    """A card number in one piece, or in groups of any lengths between separators of any kind."""
    number = draw(card_numbers())
    separators = st.sampled_from(["", *DASHES_AND_SPACES, *MARKS])
    separator = draw(separators)
    return number[0] + "".join(
        draw(st.sampled_from(["", separator])) + digit for digit in number[1:]
    )


# Digits beside digits are another number, so a text ends and begins with something else.
around = st.text(st.characters(exclude_categories=["Cs", "Nd"]), max_size=30)


@settings(deadline=None)
@given(around, spelt_card_numbers(), around)
def test_every_card_number_in_any_text_is_gone(before: str, number: str, after: str) -> None:
    hidden = hide_card_numbers(before + number + after)

    assert hidden == f"{before}[card number]{after}"


@settings(deadline=None)
@given(card_numbers(), st.lists(st.integers(0, 10**12)), st.lists(st.integers(0, 10**12)))
def test_a_card_number_among_other_numbers_is_gone(
    number: str, before: list[int], after: list[int]
) -> None:
    text = " ".join(map(str, [*before, number, *after]))

    assert number not in hide_card_numbers(text)


@settings(deadline=None)
@given(st.text())
def test_a_text_without_thirteen_digits_stays(text: str) -> None:
    kept = "".join(char for place, char in enumerate(text) if place < 12 or not char.isdecimal())

    assert hide_card_numbers(kept) == kept


@settings(deadline=None)
@given(st.integers(10**12, 10**19 - 1))
def test_a_number_that_does_not_pass_luhn_stays(number: int) -> None:
    text = f"a {number} b"

    assert (hide_card_numbers(text) == text) is not passes_luhn(str(number))


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # no check digit
        "424242424242",  # 12 digits: an RRN
        "000123",
        "amount 99999999, stan 000123, rrn 633005000123",
        "1795740365123456789",  # Unix nanoseconds
        "2026-11-27T05:58:30.123456+00:00",
        "0af7651916cd43dd8448eb211c80319c",
        "abc4000000000000006def",  # passes Luhn, but no scheme issues 19 digits like these
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert hide_card_numbers(text) == text


def test_our_own_ids_and_uuids_stay() -> None:
    merchant_id = new_merchant_id()
    ids = [str(uuid.uuid4()) for _ in range(2000)]
    ids += [new_id("pi", merchant_id) for _ in range(2000)]
    ids += ["49291234-9876-1238-4929-123498761238"]

    assert [text for text in ids if hide_card_numbers(text) != text] == []
    assert [text for text in ids if holds_card_number(text)] == []


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("5 4929123498761238 4", "5 [card number] 4"),
        ("card\\n4929123498761238", "card\\n[card number]"),  # an escape, written out
        (r"b'\x124929123498761238'", r"b'\x12[card number]'"),
        (r"\u00124929123498761238", r"\u0012[card number]"),
        ("4" * 20, "[card number]"),  # longer than any number that we write
        ("4929 1234 9876 1238, 5555-5555-5555-4444", "[card number], [card number]"),
        ("4222222222222", "[card number]"),  # 13 digits
        (with_check_digit("630400000000000001"), "[card number]"),  # 19 digits
        ("٤929123498761238", "[card number]"),  # a digit of another script
    ],
)
def test_what_is_hidden(text: str, hidden: str) -> None:
    assert hide_card_numbers(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "card 4242 4242 4242 4242 please",
        "3782 822463 10005",
        "5555-5555-5555-4444",
        "number:4242424242424242,cvc:123",
        "4242.4242.4242.4242",
    ],
)
def test_what_a_merchant_may_not_send(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "A4242424242424242",  # a letter makes it a number of the merchant's own
        "4006381333931",  # a GTIN
        "490154203237518",  # an IMEI, which always passes Luhn
        "1795740365123",
        "+49 30 1234 5678 9012",
        "42424242-4242-4242-8888-121212121212",
    ],
)
def test_what_a_merchant_may_send(text: str) -> None:
    assert not holds_card_number(text)


@settings(deadline=None)
@given(card_numbers())
def test_the_schemes_numbers_are_known(number: str) -> None:
    assert is_issued(number)
    assert not is_issued(f"{number[:-1]}{(int(number[-1]) + 1) % 10}")


def test_unix_times_are_never_taken_for_a_card_that_is_issued() -> None:
    now = time.time_ns()

    assert not any(
        is_issued(str((now + step) // 10**power)) for step in range(999) for power in (0, 3, 6)
    )


@pytest.mark.parametrize(
    "text", ["1 " * 50_000, "1" * 100_000, "12-" * 30_000, "1 23456 " * 12_000]
)
def test_a_long_text_of_digits_is_read_in_one_go(text: str) -> None:
    assert re.search(r"\d{13}", hide_card_numbers(text)) is None
