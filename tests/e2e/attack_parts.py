"""Merchants with one object of every kind, keys of every reach, and answers to compare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paymesh.merchant.v1 import api_key_rights_pb2, merchant_service_pb2

from chassis.ids import new_id
from sandbox.merchants import create_key
from sandbox.state import StateDir
from tests.e2e.attack_calls import RESOURCES, Call, Request
from tests.e2e.browser import Browser
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Answer, Keys, Merchant, card

OPERATOR = "ana@paymesh.example"
PREFIXES = {
    "intent": "pi",
    "spare": "pi",
    "held": "pi",
    "transaction": "txn",
    "token": "tok",
    "endpoint": "we",
    "event": "evt",
    "delivery": "dlv",
}
VARYING = {"request-id", "date", "x-ratelimit-remaining", "x-ratelimit-reset"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Owner:
    """A merchant and its objects, by kind."""

    merchant: Merchant
    objects: Mapping[str, str]

    async def snapshot(self) -> list[bytes]:
        """Return everything that an attack could have changed, as the API shows it."""
        paths = [
            *(f"/payment-intents/{self.objects[kind]}" for kind in ("intent", "spare", "held")),
            f"/payment-intents/{self.objects['intent']}/transactions",
            f"/payment-intents/{self.objects['held']}/transactions",
            "/payment-intents",
            "/webhook-endpoints",
        ]
        return [(await self.merchant.call("GET", path)).content for path in paths]


async def an_owner(merchant: Merchant) -> Owner:
    """Make one object of each kind."""
    browser = Browser(merchant)
    endpoint = await merchant.call(
        "POST",
        "/webhook-endpoints",
        {"url": "https://shop.example/hook", "enabledEvents": ["payment.created"]},
    )
    intent, spare = await merchant.create_intent(), await merchant.create_intent()
    held = await merchant.create_intent(captureMethod="manual")
    charged = await merchant.charge(held["id"])
    assert charged.json["status"] == "succeeded", charged.content
    deliveries = f"/webhook-endpoints/{endpoint.json['id']}/deliveries"
    for _ in range(300):
        found = (await merchant.call("GET", deliveries)).json["data"]
        if len(found) == 3:
            break
        await asyncio.sleep(0.1)
    return Owner(
        merchant,
        {
            "intent": intent["id"],
            "secret": intent["clientSecret"],
            "card": await browser.encrypt(card()),
            "spare": spare["id"],
            "held": held["id"],
            "transaction": charged.json["id"],
            "token": await browser.token(intent),
            "endpoint": endpoint.json["id"],
            "event": found[0]["eventId"],
            "delivery": found[0]["id"],
        },
    )


def never_made(owner: Owner, kind: str) -> str:
    """Return an id in the owner's shard that nothing has."""
    merchant_id = owner.merchant.keys.merchant_id
    if kind == "secret":
        return f"{new_id('pi', merchant_id)}_secret_{'0' * 32}"
    return new_id(PREFIXES[kind], merchant_id)


async def another_key(
    mesh: Mesh, keys: Keys, mode: str = "test", rights: Mapping[str, str] | None = None
) -> Keys:
    """Make one more pair of keys of a merchant. rights: access by resource, none for all."""
    permissions = [
        api_key_rights_pb2.ApiKeyPermission(resource=resource, access=access)
        for resource, access in (rights or {}).items()
    ]
    asked = merchant_service_pb2.CreateApiKeyRequest(
        merchant_id=keys.merchant_id,
        mode=mode,
        requested_by=OPERATOR,
        rights=api_key_rights_pb2.ApiKeyRights(permissions=permissions) if rights else None,
    )
    made = await create_key(StateDir(mesh.state_dir), mesh.status(), asked)
    return Keys(keys.merchant_id, made["apiKey"]["publishableKey"], made["secretKey"])


def all_but(resource: str) -> dict[str, str]:
    """Return every right but that on one resource."""
    return {name: "read_write" for name in RESOURCES.values() if name != resource}


async def make(
    call: Call,
    request: Request,
    merchant: Merchant,
    *,
    key: str | None = None,
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Make a call as its kind of caller does. content: replaces the body by other bytes."""
    if content is None:
        content = b"" if request.body is None else json.dumps(request.body).encode()
    if not call.is_for_browsers:
        return await merchant.call(
            request.method, request.path, key=key, content=content, headers=headers
        )
    named = {"Authorization": f"Bearer {merchant.keys.publishable_key}"}
    return await merchant.send(
        request.method, request.path, content, JSON | named | (headers or {})
    )


def seen(answer: Answer) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return all of a refusal that does not differ from request to request."""
    headers = {name: text for name, text in answer.headers.items() if name not in VARYING}
    return answer.status, headers, {**answer.error, "requestId": ""}
