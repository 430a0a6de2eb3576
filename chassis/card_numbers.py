"""Finds card numbers in text: in what is written down, and in what merchants send.

Pure, and linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

DIGITS_MIN, DIGITS_MAX = 13, 19
CARD_NUMBER = "[card number]"
"""What stands where a card number stood."""

# What may stand between two digits: space of any kind, dashes, what has no width; and rarer, marks.
_MARKS = "._/"
_BETWEEN = rf"[\s\u00ad\u200b-\u200d\u2060\ufeff\u2010-\u2015\u2212{_MARKS}-]{{0,3}}"
_DIGITS = re.compile(rf"\d(?:{_BETWEEN}\d){{{DIGITS_MIN - 1},}}")
# UUIDs and escapes are taken whole, so that no digits of theirs are part of a run.
_RUN = re.compile(
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
    rf"|(?P<run>{_DIGITS.pattern})"
)
_GROUP = re.compile(r"\d+")
_MARK = re.compile(f"[{_MARKS}]")

# Lengths and first digits as card schemes issue them (ISO/IEC 7812): Visa, Mastercard, American
# Express, Diners Club, JCB, Discover, UnionPay.
_ISSUED = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14}"
)
_PRINTED = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4)}  # groups of digits on cards of 16, 15 and 14
_DOUBLED = str.maketrans("0123456789", "0246813579")


class Found(NamedTuple):
    """Digits that pass Luhn, 13 to 19 in whole groups; or a group that is longer than that.

    start, end: where in the text. is_issued: whether a card scheme issues such a number. is_long:
    whether it is a group of more than 19. is_glued: whether a letter touches it. has_marks: whether
    more than space and dashes separates its digits. groups: how many digits each group has.
    """

    start: int
    end: int
    is_issued: bool
    is_long: bool
    is_glued: bool
    has_marks: bool
    groups: tuple[int, ...]


def passes_luhn(digits: str) -> bool:
    """Return whether the last of these ASCII digits is the right check digit (ISO/IEC 7812-1)."""
    backwards = digits[::-1]
    doubled = backwards[1::2].translate(_DOUBLED)
    return (sum(map(int, backwards[::2])) + sum(map(int, doubled))) % 10 == 0


def is_issued(digits: str) -> bool:
    """Return whether ASCII digits are the number of a card: first digits, length, check digit."""
    return _ISSUED.fullmatch(digits) is not None and passes_luhn(digits)


def holds_card_number(text: str) -> bool:
    """Return whether a text of a merchant's holds a card number as people write one.

    Only what is surely meant as one: of a scheme, beside no letter, whole or in the groups that
    are printed on cards. Unix times, article numbers, phone numbers and UUIDs are none.
    """
    return any(
        found.is_issued
        and not found.is_glued
        and (len(found.groups) == 1 or found.groups in _PRINTED)
        for found in _found(text)
    )


def hide_card_numbers(text: str) -> str:
    """Return the text with "[card number]" for everything that may be one.

    That is any 13 to 19 digits that pass Luhn, with space or dashes between them; beside letters
    or with other marks between them only the numbers of schemes, or ids would suffer. Digits beside
    more digits are one number; more than 19 of them are nothing that we write, and hidden too.
    """
    parts, at = [], 0
    for found in _found(text):
        is_plain = found.is_long or not (found.is_glued or found.has_marks)
        if (found.is_issued or is_plain) and found.end > at:
            parts += [text[at : max(at, found.start)], CARD_NUMBER if found.start >= at else ""]
            at = found.end
    return "".join((*parts, text[at:])) if parts else text


def _found(text: str) -> Iterator[Found]:
    """Return what passes Luhn, in the order of its first digit; parts may overlap."""
    if _DIGITS.search(text) is None:
        return
    for run in _RUN.finditer(text):
        if run["run"] is not None:
            yield from _found_in(text, list(_GROUP.finditer(text, *run.span())))


def _found_in(text: str, groups: list[re.Match[str]]) -> Iterator[Found]:
    """Return what passes Luhn of a run, whose groups are joined in every way."""
    digits = "".join(str(int(char)) for group in groups for char in group[0])
    sums = _luhn_sums(digits)
    begins = list(accumulate((len(group[0]) for group in groups), initial=0))
    for first in range(len(groups)):
        for last in range(first, min(first + DIGITS_MAX, len(groups))):
            begin, end = begins[first], begins[last + 1]
            is_long = end - begin > DIGITS_MAX
            if is_long and last > first:
                break
            by_last = sums[(end - 1) % 2]
            is_number = end - begin >= DIGITS_MIN and (by_last[end] - by_last[begin]) % 10 == 0
            if is_long or is_number:
                yield _as_found(text, groups[first : last + 1], digits[begin:end])


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Return running sums of the digits with every second one doubled: the odd, and the even.

    The difference of two is the Luhn sum of what is between; its last digit is not to be doubled.
    """
    pairs = [
        (int(char), int(double))
        for char, double in zip(digits, digits.translate(_DOUBLED), strict=True)
    ]
    return (
        list(accumulate((pair[place % 2] for place, pair in enumerate(pairs)), initial=0)),
        list(accumulate((pair[1 - place % 2] for place, pair in enumerate(pairs)), initial=0)),
    )


def _as_found(text: str, groups: list[re.Match[str]], digits: str) -> Found:
    start, end = groups[0].start(), groups[-1].end()
    return Found(
        start,
        end,
        is_issued=_ISSUED.fullmatch(digits) is not None,
        is_long=len(digits) > DIGITS_MAX,
        is_glued=text[start - 1 : start].isalpha() or text[end : end + 1].isalpha(),
        has_marks=_MARK.search(text, start, end) is not None,
        groups=tuple(len(group[0]) for group in groups),
    )
