"""A merchant's side of the API: signs requests as the guide in docs/api.md says."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiohttp


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """A merchant's keys. secret_key never leaves the merchant's server."""

    merchant_id: str
    publishable_key: str
    secret_key: str


def signed_headers(keys: Keys, method: str, path: str, content: bytes) -> dict[str, str]:
    """Return the headers that sign a request. path: with its query string."""
    timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    nonce = str(uuid.uuid4())
    text = "\n".join([method, path, timestamp, nonce, hashlib.sha256(content).hexdigest()])
    signature = hmac.new(keys.secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "Authorization": f"Bearer {keys.publishable_key}",
        "X-Request-Timestamp": timestamp,
        "X-Request-Nonce": nonce,
        "X-Signature": f"sha256={signature}",
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What the edge answered."""

    status: int
    body: Any


class MerchantClient:
    """Calls the edge for one merchant; use it as a context."""

    def __init__(self, edge_url: str, ca_file: Path, keys: Keys) -> None:
        self._edge_url = edge_url
        self._keys = keys
        trust = ssl.create_default_context(cafile=str(ca_file))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust), timeout=aiohttp.ClientTimeout(total=60)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(
        self, method: str, path: str, body: object = None, *, idempotency_key: str | None = None
    ) -> Answer:
        """Send a signed request."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = signed_headers(self._keys, method, path, content)
        if content:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        async with self._session.request(
            method, self._edge_url + path, data=content or None, headers=headers
        ) as response:
            return Answer(response.status, await response.json(content_type=None))


def test_card(number: str) -> dict[str, object]:
    """Return a test card that does not expire soon."""
    return {"number": number, "exp_month": 12, "exp_year": datetime.now(UTC).year + 5, "cvc": "123"}
