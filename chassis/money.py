"""Money: integers of minor units beside a currency of ISO 4217. Formatting is not done here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import iso4217

AMOUNT_MINOR_MAX = 99_999_999


class Currency(NamedTuple):
    """A currency in use: lower-case code, three-digit number (ISO 8583 DE49), decimal places."""

    code: str
    numeric: str
    exponent: int


CURRENCIES: dict[str, Currency] = {
    entry.code.lower(): Currency(entry.code.lower(), f"{entry.number:03d}", entry.exponent)
    for entry in iso4217.Currency
    if entry.exponent is not None
}


class CurrencyMismatch(ArithmeticError):
    """Two amounts of different currencies can't be added or compared."""


@dataclass(frozen=True, slots=True)
class Money:
    """A non-negative amount of one currency."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.amount_minor < 0:
            raise ValueError("an amount of money is never negative")
        if self.currency not in CURRENCIES:
            raise ValueError("not a currency of ISO 4217 in lower case")

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
