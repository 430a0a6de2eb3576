"""Signatures of Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 a prefix


def new_secret() -> str:
    """Return a new signing secret as it is shown."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(
    webhook_id: str, timestamp: int, body: bytes, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """Return the headers of one try, with a signature for each secret in force.

    timestamp: of the try, Unix seconds.
    """
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(_key(secret), content, hashlib.sha256)).decode()
        for secret in signing_secrets
    ]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))
