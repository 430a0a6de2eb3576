"""What a signed request must look like. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from chassis.errors import DomainError, Kind

WINDOW = timedelta(minutes=5)

_PUBLISHABLE = re.compile(r"pk_(?:test|live)_[0-9A-Za-z]{24}")
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


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
class Signed:
    """The parts of a signed request that say who sent it. nonce_text: the nonce as it was sent."""

    publishable_key: str
    timestamp: str
    nonce: UUID
    nonce_text: str
    signature: str = field(repr=False)


def publishable_key(headers: dict[bytes, bytes]) -> str:
    """Return the key that a request names. Raises RequestNotSigned."""
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    found = authorization.removeprefix("Bearer ")
    if found == authorization or not _PUBLISHABLE.fullmatch(found):
        raise RequestNotSigned("Authorization")
    return found


def signed_parts(headers: dict[bytes, bytes], now: datetime) -> Signed:
    """Return who says to have sent a request. Raises RequestNotSigned, TimestampOutOfRange."""
    named_key = publishable_key(headers)
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
    return Signed(named_key, timestamp, nonce, nonce_text, signature[1])


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
