"""The story of a payment, told with real requests: what a merchant sends, gets and is told."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from rich.console import Console
from rich.json import JSON
from rich.rule import Rule

from sandbox.client import MerchantClient, test_card
from sandbox.receiver import Receiver

APPROVED = "4242424242424242"
DECLINED = "4000000000009995"
ANSWER_LOST = "5200000000990017"
TIMEOUT_S = 30.0
POLL_S = 0.5


class StoryFailed(Exception):
    """Something did not go as the story says."""


class Story:
    """Plays a merchant."""

    def __init__(self, client: MerchantClient, console: Console) -> None:
        self._client = client
        self._console = console

    async def play(self) -> None:
        """Pay, be declined, lose an answer and find it, hold and capture. Raises StoryFailed."""
        async with Receiver() as receiver:
            self._title("1. The merchant says where events shall go")
            endpoint = await self._call(
                "POST", "/webhook-endpoints", {"url": receiver.url, "enabledEvents": ["*"]}
            )
            receiver.trust(endpoint["secret"])
            await self._pay(receiver)
        await self._be_declined()
        await self._lose_an_answer()
        await self._hold_and_capture()

    async def _pay(self, receiver: Receiver) -> None:
        self._title("2. A payment is created, a test card charged, the status read back")
        intent = await self._create(2599)
        charge = await self._charge(intent["id"], APPROVED)
        _expect(charge["status"], "succeeded")
        read = await self._call("GET", f"/payment-intents/{intent['id']}")
        _expect(read["status"], "succeeded")
        self._title("3. Signed webhooks arrive and verify")
        for _ in range(3):
            event = await receiver.event(TIMEOUT_S)
            self._console.print(
                f"[green]webhook[/] {event['type']}, version {event['data']['version']}, "
                f"signature verified"
            )
        self._show(event)

    async def _be_declined(self) -> None:
        self._title("4. A decline is an answer, not an error")
        intent = await self._create(1099)
        charge = await self._charge(intent["id"], DECLINED)
        _expect(charge["status"], "failed")

    async def _lose_an_answer(self) -> None:
        self._title("5. The network's answer is lost: the outcome is unknown and not guessed")
        intent = await self._create(700)
        charge = await self._charge(intent["id"], ANSWER_LOST)
        _expect(charge["status"], "pending_verification")
        self._title("6. The network is asked what became of it, and the payment ends as it says")
        path = f"/payment-intents/{intent['id']}/transactions/{charge['id']}"
        for _ in range(int(TIMEOUT_S / POLL_S)):
            answer = await self._client.call("GET", path)
            if answer.body["status"] != "pending_verification":
                break
            await asyncio.sleep(POLL_S)
        found = await self._call("GET", path)
        _expect(found["status"], "succeeded")

    async def _hold_and_capture(self) -> None:
        self._title("7. Funds are held first and captured later, a part of them")
        intent = await self._create(5000, captureMethod="manual")
        await self._charge(intent["id"], APPROVED)
        held = await self._call("GET", f"/payment-intents/{intent['id']}")
        _expect(held["status"], "authorized")
        captured = await self._call(
            "POST", f"/payment-intents/{intent['id']}/capture", {"amountToCaptureInCents": 3000}
        )
        _expect(captured["status"], "succeeded")
        _expect(captured["amountCapturedInCents"], 3000)

    async def _create(self, amount: int, **more: object) -> Any:
        wish = {"amountInCents": amount, "currency": "usd", "description": "One lemon tree"}
        return await self._call("POST", "/payment-intents", {**wish, **more})

    async def _charge(self, intent_id: str, number: str) -> Any:
        return await self._call(
            "POST",
            f"/payment-intents/{intent_id}/transactions",
            {"type": "charge", "card": test_card(number)},
        )

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        self._console.print(f"[bold]{method} {path}[/]")
        if body is not None:
            self._show(body)
        key = str(uuid.uuid4()) if method == "POST" else None
        answer = await self._client.call(method, path, body, idempotency_key=key)
        self._console.print(f"[cyan]{answer.status}[/]")
        self._show(answer.body)
        _expect(answer.status, 200)
        return answer.body

    def _title(self, text: str) -> None:
        self._console.print(Rule(text, align="left"))

    def _show(self, body: object) -> None:
        self._console.print(JSON(json.dumps(body), indent=2))


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise StoryFailed(f"expected {expected}, found {found}")
