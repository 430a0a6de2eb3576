"""A merchant's server as the tests play it: signs requests and calls the edge, well or badly."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

APPROVED = "4242424242424242"
APPROVED_MASTERCARD = "5555555555554444"
DECLINED = "4000000000000002"
NEVER_RECEIVED_MASTERCARD = "5200000000990041"
ANSWER_LOST = "4000000000990012"
CAPTURE_UNANSWERED = "4000000000990137"
FIRST_CAPTURE_REFUSED = "5200000000990157"
SLOW_APPROVAL = "4000000000990111"
FINAL_S_MAX = 120  # a charge that was never sent is given up after a minute


@dataclass(frozen=True, slots=True)
class Keys:
    """A merchant and one pair of its API keys."""

    merchant_id: str
    publishable_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the edge answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, str]:
        """Return the error object, after checking that it is the one error body."""
        body = self.json
        assert list(body) == ["error"], body
        error: dict[str, str] = body["error"]
        assert set(error) - {"param"} == {"type", "code", "message", "requestId"}, error
        assert all(isinstance(value, str) and value for value in error.values()), error
        return error


def card(number: str = APPROVED, **changes: object) -> dict[str, object]:
    """Return a raw test card for a request."""
    return {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"} | changes


class Merchant:
    """Calls the edge with one pair of keys."""

    def __init__(self, session: aiohttp.ClientSession, edge_url: str, keys: Keys) -> None:
        self._session = session
        self._edge_url = edge_url
        self.keys = keys

    def with_keys(self, keys: Keys) -> Merchant:
        """Return a caller with other keys over the same connections."""
        return Merchant(self._session, self._edge_url, keys)

    def signed(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        *,
        timestamp: str | None = None,
        nonce: str | None = None,
    ) -> dict[str, str]:
        """Return the headers that sign a request, as the API guide says."""
        timestamp = timestamp or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        nonce = nonce or str(uuid.uuid4())
        text = "\n".join([method, path, timestamp, nonce, hashlib.sha256(content).hexdigest()])
        digest = hmac.new(self.keys.secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {
            "Authorization": f"Bearer {self.keys.publishable_key}",
            "X-Request-Timestamp": timestamp,
            "X-Request-Nonce": nonce,
            "X-Signature": f"sha256={digest}",
        }

    async def send(
        self, method: str, path: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send exactly this, signed or not."""
        async with self._session.request(
            method,
            self._edge_url + path,
            data=content or None,
            headers=headers,
            allow_redirects=False,
        ) as response:
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.headers.items()},
                await response.read(),
            )

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a signed request; content replaces the body by other bytes, signed as well."""
        if content is None:
            content = b"" if body is None else json.dumps(body).encode()
        extra = {"Content-Type": "application/json"} if content else {}
        if key is not None:
            extra["Idempotency-Key"] = key
        return await self.send(
            method, path, content, self.signed(method, path, content) | extra | (headers or {})
        )

    async def create_intent(
        self, amount: int = 1099, *, key: str | None = None, **fields: object
    ) -> dict[str, Any]:
        """Create a payment intent and return it."""
        body = {"amountInCents": amount, "currency": "usd", **fields}
        answer = await self.call("POST", "/payment-intents", body, key=key)
        assert answer.status == 200, answer.content
        intent: dict[str, Any] = answer.json
        return intent

    async def charge(
        self, intent_id: str, number: str = APPROVED, *, key: str | None = None
    ) -> Answer:
        """Charge a test card for an intent."""
        return await self.call(
            "POST",
            f"/payment-intents/{intent_id}/transactions",
            {"type": "charge", "card": card(number)},
            key=key or str(uuid.uuid4()),
        )

    async def capture(
        self, intent_id: str, body: object = None, *, key: str | None = None
    ) -> Answer:
        """Capture what is held for an intent."""
        return await self.call("POST", f"/payment-intents/{intent_id}/capture", body, key=key)

    async def intent(self, intent_id: str) -> dict[str, Any]:
        """Read an intent back."""
        answer = await self.call("GET", f"/payment-intents/{intent_id}")
        assert answer.status == 200, answer.content
        intent: dict[str, Any] = answer.json
        return intent

    async def final_intent(self, intent_id: str) -> dict[str, Any]:
        """Read an intent back as soon as nobody works on it any more."""
        for _ in range(FINAL_S_MAX * 4):
            answer = await self.call("GET", f"/payment-intents/{intent_id}")
            if answer.status == 200 and answer.json["status"] != "processing":
                intent: dict[str, Any] = answer.json
                return intent
            await asyncio.sleep(0.25)
        raise AssertionError(f"{intent_id} has no end: {answer.content!r}")


def session(ca_file: Path, *, connections_max: int = 64) -> aiohttp.ClientSession:
    """Return an HTTP session that trusts the sandbox's CA."""
    trust = ssl.create_default_context(cafile=str(ca_file))
    connector = aiohttp.TCPConnector(ssl=trust, limit=connections_max)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
