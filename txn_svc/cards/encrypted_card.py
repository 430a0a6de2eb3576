"""An encrypted card becomes a card: decrypted, fresh, and each field checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from chassis.card_numbers import holds_card_number
from chassis.errors import DomainError, Kind, ParameterInvalid
from chassis.keystore.keys import KeyUnknown
from chassis.keystore.store import KeyStore
from txn_svc.cards.jwe import JweInvalid, decrypt_jwe, parse_jwe
from txn_svc.cards.strict import NotStrict, parse_object
from txn_svc.domain.card import Card, CardFields, check_card

PARAM = "encryptedCard"
AGE_MAX = timedelta(minutes=10)
AHEAD_MAX = timedelta(minutes=5)  # customers' clocks
NAMES = frozenset({"number", "exp_month", "exp_year", "cvc", "iat", "nonce"})
_NONCE = re.compile(r"[\w-]{16,64}", re.ASCII)  # a UUID has 36

Value = TypeVar("Value", str, int)


class EncryptedCardInvalid(ParameterInvalid):
    """Can't be decrypted, or what comes out is not a card."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"The encrypted card can't be read: {rule}.", param=PARAM)


class CardEncryptionKeyUnknown(DomainError):
    """Encrypted to a key that is not there any more."""

    kind, reason = Kind.INVALID, "CARD_ENCRYPTION_KEY_UNKNOWN"

    def __init__(self) -> None:
        super().__init__(
            "The card is encrypted to a key that is not in use. Get the keys again and encrypt "
            "it to the first.",
            param=PARAM,
        )


class EncryptedCardExpired(DomainError):
    """Encrypted too long ago, or in the future."""

    kind, reason = Kind.INVALID, "ENCRYPTED_CARD_EXPIRED"

    def __init__(self) -> None:
        super().__init__(
            "The card was encrypted more than 10 minutes ago, or by a clock that is wrong.",
            param=PARAM,
        )


class EncryptedCardReused(DomainError):
    """Taken before."""

    kind, reason = Kind.INVALID, "ENCRYPTED_CARD_REUSED"

    def __init__(self) -> None:
        super().__init__(
            "A card token was made of this encrypted card before. Encrypt the card again.",
            param=PARAM,
        )


@dataclass(frozen=True, slots=True, repr=False)
class DecryptedCard:
    """A card from a customer's browser.

    nonce: the caller takes each one once, and remembers it until `nonce_until`; from then on what
    carries it is too old anyway.
    """

    card: Card
    nonce: str
    nonce_until: datetime

    def __repr__(self) -> str:
        return f"DecryptedCard({self.card!r})"


def decrypt_card(encrypted_card: str, keys: KeyStore[Any], now: datetime) -> DecryptedCard:
    """Return the card of a JWE whose plain text is, as JSON,

    {"number":"4242…","exp_month":12,"exp_year":2034,"cvc":"123","iat":UNIX_SECONDS,"nonce":"…"}.

    Raises EncryptedCardInvalid, CardEncryptionKeyUnknown, EncryptedCardExpired, ParameterMissing
    and CardInvalid for the card's fields, KeyStoreUnavailable.
    """
    try:
        members = parse_object(decrypt_jwe(parse_jwe(encrypted_card), keys))
    except KeyUnknown:
        raise CardEncryptionKeyUnknown from None
    except JweInvalid as refused:
        raise EncryptedCardInvalid(str(refused)) from None
    except NotStrict:
        raise EncryptedCardInvalid("it must hold a JSON object") from None
    return _check_members(members, now)


def _check_members(members: dict[str, object], now: datetime) -> DecryptedCard:
    if not members.keys() <= NAMES:
        raise EncryptedCardInvalid(f"it may hold {', '.join(sorted(NAMES))} only")
    nonce = _typed(members, "nonce", str)
    # It is kept in the clear, so it may not be the card itself.
    if nonce is None or not _NONCE.fullmatch(nonce) or holds_card_number(nonce):
        raise EncryptedCardInvalid("nonce must be 16 to 64 letters, digits, - or _")
    nonce_until = _check_age(_typed(members, "iat", int), now)
    fields = CardFields(
        number=_typed(members, "number", str),
        exp_month=_typed(members, "exp_month", int),
        exp_year=_typed(members, "exp_year", int),
        cvc=_typed(members, "cvc", str),
    )
    return DecryptedCard(check_card(fields, now.date()), nonce, nonce_until)


def _typed(members: dict[str, object], name: str, of: type[Value]) -> Value | None:
    value = members.get(name)
    if value is None:
        return None
    # A bool is an int to isinstance.
    if type(value) is not of:
        raise EncryptedCardInvalid(f"{name} must be {'text' if of is str else 'a whole number'}")
    return value


def _check_age(iat: int | None, now: datetime) -> datetime:
    if iat is None:
        raise EncryptedCardInvalid("iat is missing")
    # Compared as numbers: not every number is a time.
    if not (now - AGE_MAX).timestamp() <= iat <= (now + AHEAD_MAX).timestamp():
        raise EncryptedCardExpired
    return datetime.fromtimestamp(iat, UTC) + AGE_MAX
