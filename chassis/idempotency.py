"""A caller's idempotency key: what it is, what it was used for, and a replay that says so."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from google.protobuf.message import Message

from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.fields import check_no_card_number
from chassis.identity import Context

KEY_LENGTH_MAX = 255


@dataclass(frozen=True, slots=True)
class Keyed:
    """A caller's idempotency key and what it is used for."""

    key: str
    request_hash: bytes


def keyed_of(context: Context, method: str, request: Message) -> Keyed | None:
    """Return the caller's key and what it is used for, or None without a key.

    Raises as `idempotency_key` does.
    """
    key = idempotency_key(context)
    return None if key is None else Keyed(key, request_hash(method, request))


def idempotency_key(context: Context) -> str | None:
    """Return the caller's Idempotency-Key, or None without one.

    Raises ParameterInvalid unless it has 1 to 255 printable ASCII characters and no card number.
    """
    for name, value in context.invocation_metadata() or ():
        if name == "idempotency-key":
            text = value.decode() if isinstance(value, bytes) else value
            if not (0 < len(text) <= KEY_LENGTH_MAX and text.isascii() and text.isprintable()):
                raise ParameterInvalid(
                    "An Idempotency-Key has 1 to 255 printable ASCII characters.",
                    param="Idempotency-Key",
                )
            check_no_card_number(text, "Idempotency-Key")
            return text
    return None


def required_idempotency_key(context: Context) -> str:
    """Return the caller's Idempotency-Key. Raises ParameterMissing without one."""
    key = idempotency_key(context)
    if key is None:
        raise ParameterMissing("Idempotency-Key")
    return key


def request_hash(method: str, request: Message, secret: bytes = b"") -> bytes:
    """Return 32 bytes that are equal only for the same call.

    secret: needed where a request holds what must not be guessed from its hash, such as a card.
    """
    content = method.encode() + b"\n" + request.SerializeToString(deterministic=True)
    return hmac.new(secret, content, hashlib.sha256).digest()


async def mark_replayed(context: Context) -> None:
    """Tell the caller by a response header that this is an earlier answer again."""
    await context.send_initial_metadata((("idempotent-replayed", "true"),))
