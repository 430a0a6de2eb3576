"""What a request is, so that a repeated idempotency key can be told from a reused one."""

from __future__ import annotations

import hashlib
import hmac

from google.protobuf.message import Message


def request_hash(method: str, request: Message, secret: bytes = b"") -> bytes:
    """Return 32 bytes that are equal only for the same call.

    secret: needed where a request holds what must not be guessed from its hash, such as a card.
    """
    content = method.encode() + b"\n" + request.SerializeToString(deterministic=True)
    return hmac.new(secret, content, hashlib.sha256).digest()
