"""Merchants, API keys and what a signed request must look like. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from chassis.errors import DomainError, Kind, ParameterInvalid, ParameterMissing
from chassis.fields import check_text
from chassis.ids import KeyId, MerchantId
from chassis.money import CURRENCIES

WINDOW = timedelta(minutes=5)
SECRET_LENGTH = 40
PUBLISHABLE_LENGTH = 24
KEY_ALPHABET = string.ascii_letters + string.digits
NAME_LENGTH_MAX = 140

Mode = Literal["test", "live"]

_PUBLISHABLE = re.compile(r"pk_(?:test|live)_[0-9A-Za-z]{24}")
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
_ACCOUNT_NUMBER = re.compile(r"[0-9A-Za-z]{4,34}")


class RequestNotSigned(DomainError):
    """A header that a signed request has is absent or has no meaning."""

    kind, reason = Kind.UNAUTHENTICATED, "REQUEST_NOT_SIGNED"

    def __init__(self, header: str) -> None:
        super().__init__(f"The header {header} is missing or malformed.", param=header)


class SignatureInvalid(DomainError):
    """The key does not exist or did not sign this; nobody is told which."""

    kind, reason = Kind.UNAUTHENTICATED, "SIGNATURE_INVALID"

    def __init__(self) -> None:
        super().__init__("The API key or the signature is not valid.")


class TimestampOutOfRange(DomainError):
    """Signed too long ago, or by a clock that is ahead."""

    kind, reason = Kind.UNAUTHENTICATED, "TIMESTAMP_OUT_OF_RANGE"

    def __init__(self) -> None:
        super().__init__(
            "X-Request-Timestamp must be within 5 minutes of now.", param="X-Request-Timestamp"
        )


class NonceReused(DomainError):
    """The request was seen before."""

    kind, reason = Kind.UNAUTHENTICATED, "NONCE_REUSED"

    def __init__(self) -> None:
        super().__init__(
            "X-Request-Nonce was used before; sign every request with a new one.",
            param="X-Request-Nonce",
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A pair of keys. expires: when it stops working; None while it is in force."""

    id: KeyId
    merchant_id: MerchantId
    mode: Mode
    publishable_key: str
    secret_last4: str
    created: datetime
    expires: datetime | None = None

    def is_in_force(self, now: datetime) -> bool:
        """Return whether requests signed with it are taken."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where a merchant is paid out to."""

    account_holder: str
    country: str
    currency: str
    account_number: str
    routing_number: str

    def __repr__(self) -> str:
        return f"BankAccount(…{self.account_number[-4:]})"


@dataclass(frozen=True, slots=True)
class Merchant:
    """A business that collects payments."""

    id: MerchantId
    name: str
    country: str
    mcc: str
    created: datetime
    bank_account: BankAccount | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """The parts of a signed request that say who sent it. nonce_text: the nonce as it was sent."""

    publishable_key: str
    timestamp: str
    nonce: UUID
    nonce_text: str
    signature: str


def signed_parts(headers: dict[bytes, bytes], now: datetime) -> Signed:
    """Return who says to have sent a request. Raises RequestNotSigned, TimestampOutOfRange."""
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    publishable_key = authorization.removeprefix("Bearer ")
    if publishable_key == authorization or not _PUBLISHABLE.fullmatch(publishable_key):
        raise RequestNotSigned("Authorization")
    signature = _SIGNATURE.fullmatch(headers.get(b"x-signature", b"").decode("latin-1"))
    if signature is None:
        raise RequestNotSigned("X-Signature")
    nonce_text = headers.get(b"x-request-nonce", b"").decode("latin-1")
    try:
        nonce = UUID(nonce_text)
    except ValueError:
        raise RequestNotSigned("X-Request-Nonce") from None
    timestamp = headers.get(b"x-request-timestamp", b"").decode("latin-1")
    if abs(_moment(timestamp) - now) > WINDOW:
        raise TimestampOutOfRange
    return Signed(publishable_key, timestamp, nonce, nonce_text, signature[1])


def _moment(timestamp: str) -> datetime:
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        raise RequestNotSigned("X-Request-Timestamp") from None
    if moment.tzinfo is None:
        raise RequestNotSigned("X-Request-Timestamp")
    return moment


def is_signed_with(
    secret: bytes, signed: Signed, method: str, target: bytes, content: bytes
) -> bool:
    """Return whether the secret key signed this request.

    target: path and query string as sent. content: the raw body.
    """
    text = b"\n".join(
        (
            method.encode(),
            target,
            signed.timestamp.encode(),
            signed.nonce_text.encode(),
            hashlib.sha256(content).hexdigest().encode(),
        )
    )
    return hmac.compare_digest(hmac.digest(secret, text, "sha256").hex(), signed.signature)


def new_keys(mode: Mode) -> tuple[str, str]:
    """Return a publishable and a secret key."""
    return (
        f"pk_{mode}_{_random_text(PUBLISHABLE_LENGTH)}",
        f"sk_{mode}_{_random_text(SECRET_LENGTH)}",
    )


def _random_text(length: int) -> str:
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(length))


def check_name(name: str, param: str) -> str:
    """Return the name. Raises ParameterMissing, ParameterInvalid."""
    if not name.strip():
        raise ParameterMissing(param)
    return check_text(name, NAME_LENGTH_MAX, param)


def check_country(country: str, param: str) -> str:
    """Return the country. Raises ParameterMissing, ParameterInvalid."""
    if not country:
        raise ParameterMissing(param)
    if not re.fullmatch("[a-z]{2}", country):
        raise ParameterInvalid(f"{param} must be two lower-case letters.", param=param)
    return country


def check_mcc(mcc: str) -> str:
    """Return the merchant category code. Raises ParameterMissing, ParameterInvalid."""
    if not mcc:
        raise ParameterMissing("mcc")
    if not re.fullmatch("[0-9]{4}", mcc):
        raise ParameterInvalid("mcc must be 4 digits.", param="mcc")
    return mcc


def check_bank_account(account: BankAccount) -> BankAccount:
    """Return the account. Raises ParameterMissing, ParameterInvalid."""
    check_name(account.account_holder, "bankAccount.accountHolder")
    check_country(account.country, "bankAccount.country")
    if account.currency not in CURRENCIES:
        raise ParameterInvalid(
            "bankAccount.currency must be an ISO 4217 code in lower case.",
            param="bankAccount.currency",
        )
    if not _ACCOUNT_NUMBER.fullmatch(account.account_number):
        raise ParameterInvalid(
            "bankAccount.accountNumber must have 4 to 34 letters and digits.",
            param="bankAccount.accountNumber",
        )
    return account
