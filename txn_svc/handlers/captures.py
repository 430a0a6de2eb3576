"""Held funds: captured or released, as intent_svc decides, and told to the network until it knows.

A capture is written down before it is sent. From then on it is sent until it is acknowledged or
refused, by whoever wrote it down or, if that one is gone or got no answer, by whoever finds it due.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from chassis.clock import Clock
from chassis.errors import ResourceMissing, ServiceUnavailable
from chassis.ids import AttemptId, MerchantId, TransactionId, new_id
from chassis.keystore.keys import KeyStoreUnavailable
from chassis.money import Money
from txn_svc.domain import capture as rules
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptKind, Message
from txn_svc.domain.card import Pan
from txn_svc.domain.resolution import AttemptInUnexpectedState, Exchange
from txn_svc.domain.transaction import Transaction
from txn_svc.handlers.answers import judge_capture
from txn_svc.handlers.attempts import ROUNDS_MAX, AttemptHandlers
from txn_svc.networks.messages import CaptureAdvice, Trace
from txn_svc.networks.pool import (
    CardNetworkUnavailable,
    NetworkPool,
    NoAnswer,
    NotSent,
    Reservation,
)
from txn_svc.store.captures import CaptureStore
from txn_svc.store.charges import ChargeStore
from txn_svc.store.rows import Move, Step

LOG = logging.getLogger(__name__)


class CaptureHandlers:
    """The use cases of held funds. networks: by the network's name."""

    def __init__(
        self,
        charges: ChargeStore,
        captures: CaptureStore,
        attempts: AttemptHandlers,
        networks: Mapping[str, NetworkPool],
        clock: Clock,
    ) -> None:
        self._charges = charges
        self._captures = captures
        self._attempts = attempts
        self._networks = networks
        self._clock = clock

    async def capture(
        self, merchant_id: str, transaction_id: str, amount_minor: int, number: int
    ) -> Attempt:
        """Claim held funds and wait for the network's answer; asked again, tell how it stands.

        number: which capture of the transaction it is, from 1. Raises ResourceMissing,
        AttemptInUnexpectedState, CardNetworkUnavailable.
        """
        transaction, authorization, captures = await self._found(merchant_id, transaction_id)
        capture = _numbered(captures, number)
        if capture is None:
            rules.check_capture(authorization, captures, number, amount_minor)
            pan = await self._attempts.pans.find(authorization)
            with self._networks[authorization.network].reserve() as reservation:
                capture = self._new_capture(authorization, amount_minor, number, reservation.trace)
                if await self._captures.records.submit(Step(transaction, capture)):
                    return await self._send(
                        reservation, authorization, capture, pan, is_repeat=False
                    )
            _, authorization, captures = await self._found(merchant_id, transaction_id)
            capture = _numbered(captures, number)
        if capture is None or capture.amount_minor != amount_minor:
            raise AttemptInUnexpectedState(capture or authorization, f"captured for {amount_minor}")
        return capture

    async def void(self, merchant_id: str, transaction_id: str) -> Attempt:
        """Release held funds; the advice is written down and follows.

        Raises ResourceMissing, AttemptInUnexpectedState.
        """
        for _ in range(ROUNDS_MAX):
            transaction, was, captures = await self._found(merchant_id, transaction_id)
            now = self._clock.now().timestamp()
            authorization = rules.begin_void(was, captures, now)
            if authorization is was:
                return was
            if await self._charges.moves.submit(Move(was, transaction, authorization)):
                return authorization
        raise ServiceUnavailable("Others change this attempt all the time. Repeat the request.")

    async def claim_captures(self, limit: int) -> Sequence[tuple[Attempt, Attempt]]:
        """Return authorizations with captures that are due, for this process to send."""
        return await self._captures.claim(limit, self._attempts.lease)

    async def send_again(self, authorization: Attempt, capture: Attempt) -> None:
        """Send a claimed capture once more, and write down what came of it."""
        try:
            pan = await self._attempts.pans.find(capture)
            reservation = self._networks[capture.network].reserve()
        except (CardNetworkUnavailable, KeyStoreUnavailable):
            LOG.info("a capture waits to be sent", extra={"attempt_id": capture.id})
            await self._note(capture, "", ())
            return
        with reservation:
            await self._send(reservation, authorization, capture, pan, is_repeat=True)

    async def _send(
        self,
        reservation: Reservation,
        authorization: Attempt,
        capture: Attempt,
        pan: Pan | None,
        *,
        is_repeat: bool,
    ) -> Attempt:
        advice = CaptureAdvice(
            _trace(capture),
            _trace(authorization),
            Money(capture.amount_minor, capture.currency),
            pan,
            authorization.approval_code,
            is_repeat,
        )
        messages: tuple[Message, ...] = (self._message(advice.mti),)
        code = ""
        try:
            code = await reservation.capture(advice)
        except NotSent:
            messages = ()
        except NoAnswer:
            LOG.info("a capture got no answer", extra={"attempt_id": capture.id})
        else:
            messages += (self._message("0230", code),)
        if judge_capture(code) is AttemptEvent.NO_ANSWER:
            self._networks[capture.network].hold(capture.stan)
        return await self._note(capture, code, messages)

    async def _note(self, capture: Attempt, code: str, messages: tuple[Message, ...]) -> Attempt:
        _, noted = await self._attempts.change(
            capture.merchant_id,
            capture.id,
            lambda transaction, capture: self._after(transaction, capture, code, messages),
        )
        return noted

    def _after(
        self, transaction: Transaction, capture: Attempt, code: str, messages: tuple[Message, ...]
    ) -> Exchange:
        event = judge_capture(code)
        if event is AttemptEvent.APPROVE:
            return rules.acknowledge(transaction, capture, *messages)
        if event is AttemptEvent.DECLINE:
            return transaction, rules.refuse(capture, *messages)
        rule = self._networks[capture.network].rules.reversal
        now = self._clock.now().timestamp()
        return transaction, rules.repeat(capture, rule, now, *messages)

    async def _found(
        self, merchant_id: str, transaction_id: str
    ) -> tuple[Transaction, Attempt, tuple[Attempt, ...]]:
        transaction, authorization, captures = await self._charges.reads.submit(
            (MerchantId(merchant_id), TransactionId(transaction_id))
        )
        if authorization is None:
            raise ResourceMissing("Nothing was authorized.", param="transaction_id")
        return transaction, authorization, captures

    def _new_capture(
        self, authorization: Attempt, amount_minor: int, number: int, trace: Trace
    ) -> Attempt:
        now = self._clock.now().timestamp()
        deadline = int(now + self._networks[authorization.network].rules.timeout_s) + 1
        return Attempt(
            id=AttemptId(new_id("att", authorization.merchant_id)),
            merchant_id=authorization.merchant_id,
            transaction_id=authorization.transaction_id,
            payment_intent_id=authorization.payment_intent_id,
            network=authorization.network,
            amount_minor=amount_minor,
            currency=authorization.currency,
            stan=trace.stan,
            rrn=authorization.rrn,
            transmitted_at=trace.transmitted_at,
            terminal_id=trace.terminal_id,
            deadline=deadline,
            created=int(now),
            kind=AttemptKind.CAPTURE,
            advice_due=deadline,
            capture_number=number,
        )

    def _message(self, mti: str, response_code: str | None = None) -> Message:
        at = int(self._clock.now().timestamp())
        return Message(mti, is_sent=response_code is None, at=at, response_code=response_code)


def _numbered(captures: Sequence[Attempt], number: int) -> Attempt | None:
    return next((capture for capture in captures if capture.capture_number == number), None)


def _trace(attempt: Attempt) -> Trace:
    return Trace(attempt.transmitted_at, attempt.stan, attempt.rrn, attempt.terminal_id)
