"""Careful merchants: what gets no answer is sent again under its key, some of it only later."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Sequence

import aiohttp

from tests.e2e.merchant import Merchant, card
from tests.faults.evidence import Request, Step, Told
from tests.faults.plan import Payment

IN_FLIGHT_MAX = 12
ANSWER_S = 6.0  # longer than a charge of 2 s takes, shorter than most outages
TRIES_MAX = 8
BACKOFF_S_MAX = 2.0
SETTLING_S = 90.0
SAID_NOTHING = {409, 429}
# After a decline the intent may not know it yet; the refusal leaves the key free.
NOT_YET = {"payment_intent_unexpected_state"}


class Merchants:
    """Makes payments and remembers every request."""

    def __init__(self, merchants: Sequence[Merchant], seed: int) -> None:
        self._merchants = merchants
        self._seed = seed
        self._chance = random.Random(f"backoffs {seed}")
        self._gate = asyncio.Semaphore(IN_FLIGHT_MAX)
        self.requests: list[Request] = []

    async def make(self, payments: Iterable[Payment]) -> None:
        """Make each payment when it is due."""
        started_at = time.monotonic()
        await asyncio.gather(*(self._make(payment, started_at) for payment in payments))

    async def ask_again(self) -> None:
        """Send again what has no answer, until it has one."""
        open_requests = [request for request in self.requests if request.told is None]
        await asyncio.gather(*(self._settle(request) for request in open_requests))

    async def _make(self, payment: Payment, started_at: float) -> None:
        await asyncio.sleep(started_at + payment.starts_at_s - time.monotonic())
        async with self._gate:
            created = await self._send(self._creation(payment))
            if created is None or not created.is_ok:
                return
            charge = self._charge(payment, Step.CHARGE, created.object_id, payment.card)
            charged = await self._send(charge)
            is_declined = charged is not None and charged.body.get("status") == "failed"
            if is_declined and payment.next_card is not None:
                await self._send(
                    self._charge(payment, Step.CHARGE_AGAIN, created.object_id, payment.next_card)
                )

    async def _send(self, request: Request) -> Told | None:
        self.requests.append(request)
        for number in range(1 if request.payment.gives_up else TRIES_MAX):
            if number:
                backoff_s = min(0.2 * 2**number, BACKOFF_S_MAX)
                await asyncio.sleep(backoff_s * self._chance.uniform(0.5, 1.5))
            request.told = await self._try(request)
            if request.told is not None:
                return request.told
        return None

    async def _settle(self, request: Request) -> None:
        deadline = time.monotonic() + SETTLING_S
        while request.told_later is None and time.monotonic() < deadline:
            async with self._gate:
                request.told_later = await self._try(request)
            await asyncio.sleep(0.5)

    async def _try(self, request: Request) -> Told | None:
        """Send it once; None for what says nothing about the outcome."""
        request.tries += 1
        merchant = self._merchants[request.payment.merchant]
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await merchant.call("POST", request.path, request.body, key=request.key)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if answer.status >= 500 or answer.status in SAID_NOTHING:
            return None
        told = Told(answer.status, answer.json)
        is_early = told.body.get("error", {}).get("code") in NOT_YET
        return None if is_early else told

    def _creation(self, payment: Payment) -> Request:
        key = self._key(payment, Step.CREATE)
        body = {
            "amountInCents": payment.amount_minor,
            "currency": "usd",
            "description": key,
        }
        return Request(payment, Step.CREATE, self._owner(payment), key, "/payment-intents", body)

    def _charge(self, payment: Payment, step: Step, intent_id: str, number: str) -> Request:
        key = self._key(payment, step)
        path = f"/payment-intents/{intent_id}/transactions"
        body = {"type": "charge", "card": card(number)}
        return Request(payment, step, self._owner(payment), key, path, body)

    def _key(self, payment: Payment, step: Step) -> str:
        return f"seed-{self._seed}-payment-{payment.number}-{step}"

    def _owner(self, payment: Payment) -> str:
        return self._merchants[payment.merchant].keys.merchant_id
