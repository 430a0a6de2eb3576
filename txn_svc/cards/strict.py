"""Reads base64url and JSON the one way they may be written; knows nothing of cards."""

from __future__ import annotations

import base64
import binascii
import json


class NotStrict(ValueError):
    """Another text would mean the same, or this one means nothing."""


def decode_base64url(text: str) -> bytes:
    """Return the bytes of base64url without padding (RFC 7515, section 2). Raises NotStrict.

    Bits that no byte uses must be zero, so that each value has one text only.
    """
    try:
        raw = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (UnicodeEncodeError, binascii.Error):
        raise NotStrict from None
    if encode_base64url(raw) != text:
        raise NotStrict
    return raw


def encode_base64url(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse_object(raw: bytes) -> dict[str, object]:
    """Return a JSON object in UTF-8 that names no member twice. Raises NotStrict."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotStrict from None
    if not isinstance(value, dict):
        raise NotStrict
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict
    return found


def _refuse_constant(_: str) -> object:
    raise NotStrict
