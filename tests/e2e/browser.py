"""A customer's browser as the tests play it: encrypts cards, and knows nothing but public keys."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey

from tests.e2e.merchant import Answer, Merchant, card

JSON = {"Content-Type": "application/json"}


class NoKeys(Exception):
    """The edge did not say which keys to encrypt with."""


class Browser:
    """Calls the edge with a merchant's publishable key alone."""

    def __init__(self, merchant: Merchant, publishable_key: str | None = None) -> None:
        self._merchant = merchant
        key = publishable_key or merchant.keys.publishable_key
        self._headers = {"Authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, content: bytes = b"") -> Answer:
        """Send an unsigned request."""
        return await self._merchant.send(method, path, content, self._headers | JSON)

    async def keys(self) -> Answer:
        """Ask for the card encryption keys."""
        return await self.call("GET", "/card-encryption-keys")

    async def encrypt(self, fields: Mapping[str, object], kid: str | None = None) -> str:
        """Return a card as a JWE, now and with a new nonce unless the fields say otherwise.

        Raises NoKeys.
        """
        answer = await self.keys()
        if answer.status != 200:
            raise NoKeys(answer.content)
        [jwk] = answer.json["keys"]
        plain = {"iat": int(time.time()), "nonce": str(uuid.uuid4()), **fields}
        protected = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid or jwk["kid"]}
        key = ECKey.import_key(jwk)
        return jwe.encrypt_compact(protected, json.dumps(plain).encode(), key)

    async def ask(self, intent: Mapping[str, Any], encrypted_card: str) -> Answer:
        """Ask for a token of an encrypted card for an intent, as its creation returned it."""
        return await self.send(
            paymentIntentId=intent["id"],
            clientSecret=intent["clientSecret"],
            encryptedCard=encrypted_card,
        )

    async def send(self, **body: object) -> Answer:
        """Ask for a token with this body."""
        return await self.call("POST", "/card-tokens", json.dumps(body).encode())

    async def token(self, intent: Mapping[str, Any], **fields: object) -> str:
        """Return a token for an intent."""
        answer = await self.ask(intent, await self.encrypt(card() | fields))
        assert answer.status == 200, answer.content
        token_id: str = answer.json["id"]
        return token_id


async def charge_token(
    merchant: Merchant, intent_id: str, token: str, *, key: str | None = None, **fields: object
) -> Answer:
    """Charge a card token for an intent, as the merchant's server does."""
    return await merchant.call(
        "POST",
        f"/payment-intents/{intent_id}/transactions",
        {"type": "charge", "card": {"token": token, **fields}},
        key=key or str(uuid.uuid4()),
    )
