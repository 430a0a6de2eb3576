"""What the records of any clearing format come to, and the rules for their fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from chassis.money import CURRENCIES
from recon_svc.domain.clearing import ClearingLine, CurrencyTotal, LineRejected

CODES = {currency.numeric: currency.code for currency in CURRENCIES.values()}


@dataclass(frozen=True, slots=True)
class Unit:
    """The bytes of one record, or of the few that belong together. number: of the first, from 1."""

    number: int
    records: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """Opens a file."""

    file_id: str
    business_date: date


@dataclass(frozen=True, slots=True)
class Trailer:
    """Closes a file. records: all of them. lines, hash_total: where the format has them."""

    file_id: str
    records: int
    lines: int | None = None
    hash_total: int | None = None


Fact = Header | ClearingLine | LineRejected | CurrencyTotal | Trailer


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a unit says. message_number: None where that can't be read."""

    unit_number: int
    records: int
    message_number: int | None
    facts: tuple[Fact, ...]


class FieldInvalid(ValueError):
    """A field that can't be read; tells its name and why, never its value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def required(field: str, text: str) -> str:
    """Return a text without its padding. Raises FieldInvalid when nothing is left."""
    stripped = text.strip()
    if not stripped:
        raise FieldInvalid(field, "is missing")
    if not stripped.isprintable():
        raise FieldInvalid(field, "has control characters")
    return stripped


def digits(field: str, text: str, length: int) -> str:
    """Return a text of so many digits. Raises FieldInvalid."""
    required(field, text)
    if len(text) != length or not (text.isascii() and text.isdecimal()):
        raise FieldInvalid(field, f"is not {length} digits")
    return text


def day(field: str, text: str) -> date:
    """Return a date from "YYYYMMDD". Raises FieldInvalid."""
    digits(field, text, 8)
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise FieldInvalid(field, "is not a date") from None


def currency(field: str, text: str) -> str:
    """Return the lower-case code of three digits of ISO 4217. Raises FieldInvalid."""
    code = CODES.get(digits(field, text, 3))
    if code is None:
        raise FieldInvalid(field, "is not a currency of ISO 4217")
    return code


def last4(text: str) -> str | None:
    """Return the last four digits of a card number, masked or not, if they are there."""
    found = text.strip()[-4:]
    return found if len(found) == 4 and found.isascii() and found.isdecimal() else None
