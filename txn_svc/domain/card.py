"""Cards as customers give them. Nothing here ever prints a card number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from chassis.card_numbers import passes_luhn
from chassis.errors import DomainError, Kind, ParameterMissing

Field = TypeVar("Field", str, int)

PAN_LENGTHS = range(12, 20)
# PCI DSS 3.4.1 lets the BIN and the last four digits be shown, and a BIN may have eight digits. But
# with eight and the check digit a card of 16 would be one of 1,000, few enough to be tried until
# the fingerprint is the same; with six it is one of 100,000.
BIN_LENGTH = 6
EXP_YEARS_AHEAD_MAX = 50


class CardInvalid(DomainError):
    """A card that can't be charged as given."""

    kind = Kind.INVALID


class IncorrectNumber(CardInvalid):
    """Not a card number."""

    reason = "INCORRECT_NUMBER"

    def __init__(self) -> None:
        super().__init__("The card number is incorrect.", param="card.number")


class CardBrandNotSupported(CardInvalid):
    """No network for this card."""

    reason = "CARD_BRAND_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("Cards of this brand can't be charged.", param="card.number")


class InvalidExpiryMonth(CardInvalid):
    """Not a month."""

    reason = "INVALID_EXPIRY_MONTH"

    def __init__(self) -> None:
        super().__init__("The month of expiry must be 1 to 12.", param="card.exp_month")


class InvalidExpiryYear(CardInvalid):
    """Not a year with four digits, or far off."""

    reason = "INVALID_EXPIRY_YEAR"

    def __init__(self) -> None:
        super().__init__(
            "The year of expiry must have four digits, e.g. 2029.", param="card.exp_year"
        )


class ExpiredCard(CardInvalid):
    """The month of expiry is over."""

    reason = "EXPIRED_CARD"

    def __init__(self) -> None:
        super().__init__("The card has expired.", param="card.exp_year")


class InvalidCvc(CardInvalid):
    """Not three digits."""

    reason = "INVALID_CVC"

    def __init__(self) -> None:
        super().__init__("The card verification code must have 3 digits.", param="card.cvc")


@dataclass(frozen=True, slots=True)
class Brand:
    """A scheme, and the card network that reaches its issuers."""

    name: str
    network: str


VISA = Brand("visa", "visa_sim")
MASTERCARD = Brand("mastercard", "mastercard_sim")

# First and last card_bin of each range, 6 digits (ISO/IEC 7812).
BIN_RANGES = (
    (400000, 499999, VISA),
    (510000, 559999, MASTERCARD),
    (222100, 272099, MASTERCARD),
)


@dataclass(frozen=True, slots=True, repr=False)
class Pan:
    """A card number that passed its check digit."""

    digits: str

    def __repr__(self) -> str:
        return f"Pan(…{self.last4})"

    @property
    def last4(self) -> str:
        """The last four digits, which may be shown."""
        return self.digits[-4:]

    @property
    def card_bin(self) -> str:
        """The first six digits, which may be shown."""
        return self.digits[:BIN_LENGTH]


@dataclass(frozen=True, slots=True, repr=False)
class Card:
    """A card to charge. exp_year: four digits."""

    pan: Pan
    exp_month: int
    exp_year: int
    cvc: str

    def __repr__(self) -> str:
        return f"Card({self.pan!r})"


@dataclass(frozen=True, slots=True, repr=False)
class CardFields:
    """The fields of a card as they came; None for what is absent."""

    number: str | None
    exp_month: int | None
    exp_year: int | None
    cvc: str | None

    def __repr__(self) -> str:
        return "CardFields(…)"


def check_card(fields: CardFields, today: date) -> Card:
    """Return the card. Raises ParameterMissing or a CardInvalid that names the field."""
    number = _present(fields.number, "card.number")
    exp_month = _present(fields.exp_month, "card.exp_month")
    exp_year = _present(fields.exp_year, "card.exp_year")
    cvc = _present(fields.cvc, "card.cvc")
    pan = _check_pan(number)
    brand_of(pan)
    if not 1 <= exp_month <= 12:
        raise InvalidExpiryMonth
    if not 1000 <= exp_year <= today.year + EXP_YEARS_AHEAD_MAX:
        raise InvalidExpiryYear
    if (exp_year, exp_month) < (today.year, today.month):
        raise ExpiredCard
    if not (len(cvc) == 3 and _is_digits(cvc)):
        raise InvalidCvc
    return Card(pan, exp_month, exp_year, cvc)


def _present(value: Field | None, param: str) -> Field:
    if value is None or value == "":
        raise ParameterMissing(param)
    return value


def brand_of(pan: Pan) -> Brand:
    """Return the scheme of a card. Raises CardBrandNotSupported."""
    card_bin = int(pan.card_bin)
    for first, last, brand in BIN_RANGES:
        if first <= card_bin <= last:
            return brand
    raise CardBrandNotSupported


def _check_pan(number: str) -> Pan:
    if len(number) not in PAN_LENGTHS or not _is_digits(number) or not passes_luhn(number):
        raise IncorrectNumber
    return Pan(number)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()
