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
SETTLING_TRIES_MAX = 40
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
        self._is_healed = False
        self.requests: list[Request] = []

    async def make(self, payments: Iterable[Payment]) -> None:
        """Make each payment when it is due."""
        started_at = time.monotonic()
        await asyncio.gather(*(self._make(payment, started_at) for payment in payments))

    async def ask_again(self) -> None:
        """After healing: send again what has no answer, and go on with its payment."""
        self._is_healed = True
        open_requests = [request for request in self.requests if request.told is None]
        await asyncio.gather(*(self._settle(request) for request in open_requests))

    async def _make(self, payment: Payment, started_at: float) -> None:
        await asyncio.sleep(started_at + payment.starts_at_s - time.monotonic())
        await self._go_on(self._creation(payment))

    async def _go_on(self, request: Request | None) -> None:
        """Send the requests of a payment, one after the other, until one has no answer."""
        while request is not None:
            self.requests.append(request)
            gives_up = request.payment.gives_up and not self._is_healed
            request.told = await self._ask(request, 1 if gives_up else TRIES_MAX)
            request = self._next(request, request.told)

    async def _settle(self, request: Request) -> None:
        request.told_later = await self._ask(request, SETTLING_TRIES_MAX)
        await self._go_on(self._next(request, request.told_later))

    def _next(self, request: Request, told: Told | None) -> Request | None:
        """Return what a merchant asks for after this answer, if anything."""
        payment = request.payment
        if told is None or not told.is_ok:
            return None
        if request.step is Step.CREATE:
            path = f"/payment-intents/{told.object_id}/transactions"
            return self._charge(payment, Step.CHARGE, path, payment.card)
        is_declined = told.body["status"] == "failed"
        if request.step is Step.CHARGE and is_declined and payment.next_card is not None:
            return self._charge(payment, Step.CHARGE_AGAIN, request.path, payment.next_card)
        return None

    async def _ask(self, request: Request, tries_max: int) -> Told | None:
        """Send it until it is answered, so many times at most."""
        for number in range(tries_max):
            if number:
                backoff_s = min(0.2 * 2**number, BACKOFF_S_MAX)
                await asyncio.sleep(backoff_s * self._chance.uniform(0.5, 1.5))
            async with self._gate:
                told = await self._try(request)
            if told is not None:
                return told
        return None

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

    def _charge(self, payment: Payment, step: Step, path: str, number: str) -> Request:
        body = {"type": "charge", "card": card(number)}
        return Request(payment, step, self._owner(payment), self._key(payment, step), path, body)

    def _key(self, payment: Payment, step: Step) -> str:
        return f"seed-{self._seed}-payment-{payment.number}-{step}"

    def _owner(self, payment: Payment) -> str:
        return self._merchants[payment.merchant].keys.merchant_id
