"""Careful merchants: what gets no answer is sent again under its key, some of it only later."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import aiohttp

from tests.e2e.browser import Browser, NoKeys
from tests.e2e.merchant import Merchant, card
from tests.faults.evidence import Request, Step, Told
from tests.faults.plan import Ending, Payment

IN_FLIGHT_MAX = 12
ANSWER_S = 6.0  # longer than a charge of 2 s takes, shorter than most outages
TRIES_MAX = 8
BACKOFF_S_MAX = 2.0
SETTLING_TRIES_MAX = 40
CERTAINTY_S_MAX = 30.0  # how long a merchant that was told nothing certain waits to go on
LOOK_AGAIN_S = 1.0
SAID_NOTHING = {409, 429}
# After an answer the intent may not know it yet; the refusal leaves the key free.
NOT_YET = {"payment_intent_unexpected_state"}
CERTAIN = {"authorized": "succeeded", "succeeded": "succeeded", "failed": "failed"}


class Merchants:
    """Makes payments and remembers every request."""

    def __init__(self, merchants: Sequence[Merchant], seed: int) -> None:
        self._merchants = merchants
        self._seed = seed
        self._chance = random.Random(f"backoffs {seed}")
        self._gate = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._is_healed = False
        self._client_secrets: dict[str, str] = {}  # by intent
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
            request = await self._next(request, request.told)

    async def _settle(self, request: Request) -> None:
        request.told_later = await self._ask(request, SETTLING_TRIES_MAX)
        await self._go_on(await self._next(request, request.told_later))

    async def _next(self, request: Request, told: Told | None) -> Request | None:
        """Return what a merchant asks for after this answer, if anything."""
        if told is None:
            return None
        if told.is_token_lost:
            return await self._charge_again(request)
        if not told.is_ok:
            return None
        if request.step is Step.CREATE:
            payment = request.payment
            self._client_secrets[told.object_id] = str(told.body.get("clientSecret"))
            return await self._charge(payment, Step.CHARGE, told.object_id)
        if request.step in {Step.CHARGE, Step.CHARGE_AGAIN}:
            return await self._after_charge(request, told)
        return self._after_ending(request, told)

    async def _after_charge(self, request: Request, told: Told) -> Request | None:
        payment = request.payment
        status, authorized_minor = await self._outcome(request, told)
        if status == "succeeded":
            return self._ending(request, authorized_minor) if payment.is_manual else None
        if status != "failed":
            return None
        if request.step is Step.CHARGE and payment.next_card is not None:
            return await self._charge(payment, Step.CHARGE_AGAIN, request.intent_id)
        return self._ending(request) if payment.ending is Ending.CANCEL else None

    async def _outcome(self, request: Request, told: Told) -> tuple[str | None, int]:
        """Return what a charge came to, and for how much; waits for it where that matters.

        None: it is still unknown.
        """
        status = str(told.body["status"])
        payment = request.payment
        does_nothing = payment.next_card is None and payment.ending is Ending.LEAVE
        if status != "pending_verification" or does_nothing:
            return status, told.body.get("amountApprovedInCents", 0)
        deadline = time.monotonic() + CERTAINTY_S_MAX
        while time.monotonic() < deadline:
            await asyncio.sleep(LOOK_AGAIN_S)
            read = await self._try("GET", request, f"/payment-intents/{request.intent_id}")
            if read is not None and read.is_ok and read.body["status"] in CERTAIN:
                return CERTAIN[read.body["status"]], read.body["amountAuthorizedInCents"]
        return None, 0

    async def _ask(self, request: Request, tries_max: int) -> Told | None:
        """Send it until it is answered, so many times at most."""
        for number in range(tries_max):
            if number:
                backoff_s = min(0.2 * 2**number, BACKOFF_S_MAX)
                await asyncio.sleep(backoff_s * self._chance.uniform(0.5, 1.5))
            async with self._gate:
                request.tries += 1
                told = await self._try("POST", request, request.path, request.body, request.key)
            if told is not None:
                return told
        return None

    async def _try(
        self,
        method: str,
        request: Request,
        path: str,
        body: object = None,
        key: str | None = None,
    ) -> Told | None:
        """Send something for a request once; None for what says nothing about the outcome."""
        merchant = self._merchants[request.payment.merchant]
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await merchant.call(method, path, body, key=key)
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
            "captureMethod": "manual" if payment.is_manual else "automatic",
            "partialApproval": "accepted" if payment.accepts_part else "refused",
        }
        return Request(payment, Step.CREATE, self._owner(payment), key, "/payment-intents", body)

    async def _charge(self, payment: Payment, step: Step, intent_id: str) -> Request | None:
        """Return a charge of the card of this step; None where its browser got no token."""
        number = payment.card if step is Step.CHARGE else payment.next_card
        fields = card(number or "")
        if payment.by_token:
            token = await self._token(payment, intent_id, fields)
            if token is None:
                return None
            fields = {"token": token}
        body = {"type": "charge", "card": fields}
        return self._about(intent_id, payment, step, "transactions", body)

    async def _charge_again(self, lost: Request) -> Request | None:
        """Return the charge that a lost token was for, with another token and another key."""
        again = await self._charge(lost.payment, lost.step, lost.intent_id)
        return again and replace(again, key=f"{lost.key}-token")

    async def _token(self, payment: Payment, intent_id: str, fields: dict[str, Any]) -> str | None:
        """Let a customer's browser try until it has a token, or give up."""
        browser = Browser(self._merchants[payment.merchant])
        intent = {"id": intent_id, "clientSecret": self._client_secrets[intent_id]}
        for number in range(SETTLING_TRIES_MAX):
            if number:
                await asyncio.sleep(min(0.2 * 2**number, BACKOFF_S_MAX))
            try:
                async with self._gate, asyncio.timeout(ANSWER_S):
                    answer = await browser.ask(intent, await browser.encrypt(fields))
            except (aiohttp.ClientError, OSError, TimeoutError, NoKeys):
                continue
            if answer.status == 200:
                return str(answer.json["id"])
        return None

    def _ending(self, charge: Request, authorized_minor: int = 0) -> Request | None:
        """Return what becomes of held funds, or of a payment that failed."""
        payment = charge.payment
        if payment.ending is Ending.LEAVE:
            return None
        if payment.ending is Ending.CANCEL:
            return self._about(charge.intent_id, payment, Step.CANCEL, "cancel", {})
        return self._capture(charge, Step.CAPTURE, authorized_minor)

    def _after_ending(self, request: Request, told: Told) -> Request | None:
        """Return what a merchant does whose capture was refused: tries again, then gives up."""
        if told.body["status"] != "authorized":
            return None
        if request.step is Step.CAPTURE:
            authorized_minor = told.body["amountAuthorizedInCents"]
            return self._capture(request, Step.CAPTURE_AGAIN, authorized_minor)
        return self._about(request.intent_id, request.payment, Step.CANCEL, "cancel", {})

    def _capture(self, before: Request, step: Step, authorized_minor: int) -> Request:
        payment = before.payment
        part = {"amountToCaptureInCents": payment.amount_to_collect_minor(authorized_minor)}
        body = part if payment.ending is Ending.COLLECT_PART else {}
        return self._about(before.intent_id, payment, step, "capture", body)

    def _about(
        self, intent_id: str, payment: Payment, step: Step, name: str, body: dict[str, Any]
    ) -> Request:
        path = f"/payment-intents/{intent_id}/{name}"
        key = self._key(payment, step)
        return Request(payment, step, self._owner(payment), key, path, body, intent_id)

    def _key(self, payment: Payment, step: Step) -> str:
        return f"seed-{self._seed}-payment-{payment.number}-{step}"

    def _owner(self, payment: Payment) -> str:
        return self._merchants[payment.merchant].keys.merchant_id
