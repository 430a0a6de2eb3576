"""Ids of every entity: a type prefix, the merchant's shard bucket, a time-ordered random part.

An id is for ever, so the bucket (of 1,024) is in it from the first day: a database can be split by
bucket without a rewrite. Ids are made here only.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import NewType

MerchantId = NewType("MerchantId", str)
PaymentIntentId = NewType("PaymentIntentId", str)
CardTokenId = NewType("CardTokenId", str)
TransactionId = NewType("TransactionId", str)
AttemptId = NewType("AttemptId", str)
EventId = NewType("EventId", str)
EndpointId = NewType("EndpointId", str)
DeliveryId = NewType("DeliveryId", str)
KeyId = NewType("KeyId", str)
Kid = NewType("Kid", str)

PREFIXES = ("mer", "pi", "txn", "att", "tok", "evt", "we", "dlv", "key", "brk")
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in lower case
TIME_LENGTH = 9  # milliseconds since 1970, 45 bits
RANDOM_LENGTH = 15  # 75 bits
_KID = re.compile(rf"kid_[{ALPHABET}]{{{TIME_LENGTH + RANDOM_LENGTH}}}")
_ID = re.compile(rf"(?:{'|'.join(PREFIXES)})_[{ALPHABET}]{{26}}")


def new_merchant_id() -> MerchantId:
    """Return an id of a new merchant, in a bucket drawn at random."""
    return MerchantId(f"mer_{_encode(secrets.randbits(10), 2)}{_unique()}")


def new_id(prefix: str, merchant_id: str) -> str:
    """Return an id of a new object of a merchant, e.g. `new_id("pi", "mer_2b…")` → "pi_2b…"."""
    return f"{prefix}_{merchant_id[4:6]}{_unique()}"


def new_break_id(merchant_id: str | None) -> str:
    """Return an id of a new break; one that no merchant is known for is in bucket 0."""
    return new_id("brk", merchant_id or "mer_00")


def new_kid() -> Kid:
    """Return an id of a new key of a key store, which belongs to no merchant."""
    return Kid(f"kid_{_unique()}")


def is_kid(text: str) -> bool:
    """Return whether the text has the form of a key's id."""
    return _KID.fullmatch(text) is not None


def is_id(prefix: str, text: str) -> bool:
    """Return whether the text has the form of such an id."""
    return text.startswith(f"{prefix}_") and _ID.fullmatch(text) is not None


def shard_bucket(any_id: str) -> int:
    """Return the bucket of an id, 0 to 1023."""
    bucket = any_id.partition("_")[2]
    return ALPHABET.index(bucket[0]) * 32 + ALPHABET.index(bucket[1])


def created_at(any_id: str) -> float:
    """Return when an id says that it was made, Unix seconds; a caller may have made it up."""
    milliseconds = 0
    for digit in any_id.partition("_")[2][2 : 2 + TIME_LENGTH]:
        milliseconds = milliseconds * 32 + ALPHABET.index(digit)
    return milliseconds / 1000


def _unique() -> str:
    return _encode(time.time_ns() // 1_000_000, TIME_LENGTH) + _encode(
        secrets.randbits(RANDOM_LENGTH * 5), RANDOM_LENGTH
    )


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
