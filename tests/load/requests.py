"""The requests of the benchmark, signed and sealed ahead so that this is not measured."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

FOR = "Order for "
APPROVED = "4242424242424242"


@dataclass(frozen=True, slots=True)
class Merchant:
    """One pair of test keys."""

    publishable_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request; its headers hold one value each."""

    method: str
    url: str
    body: bytes
    headers: dict[str, str]


def create(edge: str, merchant: Merchant) -> Request:
    """Return the creation of a payment intent."""
    # The answer repeats the description, which is how an answer is known for whom it is.
    description = FOR + merchant.publishable_key
    body = {"amountInCents": 1099, "currency": "usd", "description": description}
    return _signed(edge, merchant, "POST", "/payment-intents", json.dumps(body).encode())


def charge(edge: str, merchant: Merchant, intent_id: str, number: str = APPROVED) -> Request:
    """Return the charge of a card."""
    card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    body = json.dumps({"type": "charge", "card": card}).encode()
    return _signed(edge, merchant, "POST", f"/payment-intents/{intent_id}/transactions", body)


def read(edge: str, merchant: Merchant, intent_id: str) -> Request:
    """Return the reading of an intent's status."""
    return _signed(edge, merchant, "GET", f"/payment-intents/{intent_id}", b"")


def token(edge: str, merchant: Merchant, intent_id: str, secret: str, sealed: str) -> Request:
    """Return the making of a card token, as a browser asks for it. sealed: the card as a JWE."""
    body = {"paymentIntentId": intent_id, "clientSecret": secret, "encryptedCard": sealed}
    headers = {
        "Authorization": f"Bearer {merchant.publishable_key}",
        "Content-Type": "application/json",
    }
    return Request("POST", f"{edge}/card-tokens", json.dumps(body).encode(), headers)


def _signed(edge: str, merchant: Merchant, method: str, path: str, body: bytes) -> Request:
    timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    nonce = str(uuid.uuid4())
    text = "\n".join([method, path, timestamp, nonce, hashlib.sha256(body).hexdigest()])
    digest = hmac.new(merchant.secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Authorization": f"Bearer {merchant.publishable_key}",
        "X-Request-Timestamp": timestamp,
        "X-Request-Nonce": nonce,
        "X-Signature": f"sha256={digest}",
    }
    if body:
        headers |= {"Content-Type": "application/json", "Idempotency-Key": nonce}
    return Request(method, edge + path, body, headers)
