"""Attempts whose answer is missing, late or has to be undone: asked about, settled, reversed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import DomainError, Kind, ServiceUnavailable
from chassis.ids import AttemptId, MerchantId
from chassis.keystore.keys import KeyStoreUnavailable
from chassis.money import Money
from txn_svc.clients import IntentClient
from txn_svc.domain import resolution
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptKind, Message, ReversalReason
from txn_svc.domain.card import Pan
from txn_svc.domain.resolution import AttemptInUnexpectedState, Decide, Exchange
from txn_svc.domain.transaction import (
    ABANDONED,
    FINAL,
    GIVE_UP_AFTER_S,
    NO_ANSWER,
    Outcome,
    Transaction,
    TransactionStatus,
)
from txn_svc.handlers.answers import answered, answered_by, judge, judge_capture
from txn_svc.handlers.kept_pans import KeptPans
from txn_svc.handlers.strays import StrayReplies
from txn_svc.networks.connection import Elements
from txn_svc.networks.messages import (
    AuthorizationResponse,
    ReversalAdvice,
    Trace,
    authorization_response,
)
from txn_svc.networks.pool import (
    CardNetworkUnavailable,
    NetworkPool,
    NoAnswer,
    NotSent,
    Reservation,
)
from txn_svc.store.attempts import AttemptStore
from txn_svc.store.charges import ChargeStore
from txn_svc.store.rows import Move

LOG = logging.getLogger(__name__)
ROUNDS_MAX = 8
NEVER_RECORDED_AFTER = timedelta(seconds=GIVE_UP_AFTER_S)
LEASE_MARGIN = timedelta(seconds=10)  # beyond the time that a network may take to answer
NOT_FOUND = "25"  # ISO 8583:1987 DE39, unable to locate the record
ANSWERS = {
    "0110": AttemptKind.AUTHORIZATION,
    "0410": AttemptKind.AUTHORIZATION,
    "0430": AttemptKind.AUTHORIZATION,
    "0230": AttemptKind.CAPTURE,
}
# Acknowledged, or the original was never seen: either way nothing of it stands.
REVERSAL_ACKNOWLEDGED = frozenset({"00", NOT_FOUND})


class InquiryNotOffered(DomainError):
    """The network can't be asked what became of an exchange."""

    kind, reason = Kind.INVALID, "INQUIRY_NOT_OFFERED"

    def __init__(self) -> None:
        super().__init__("This network offers no inquiry.", param="attempt_id")


class AttemptHandlers:
    """The use cases of attempts. networks: by the network's name."""

    def __init__(  # noqa: PLR0913, PLR0917 each is a neighbour of its own
        self,
        charges: ChargeStore,
        attempts: AttemptStore,
        intents: IntentClient,
        pans: KeptPans,
        networks: Mapping[str, NetworkPool],
        clock: Clock,
    ) -> None:
        self._charges = charges
        self._attempts = attempts
        self._intents = intents
        self.pans = pans
        self._networks = networks
        self._clock = clock
        self._strays = StrayReplies(self._settle_stray)

    async def hold_open_stans(self) -> None:
        """Keep the STANs of all open exchanges, whoever sent them, from being used again."""
        # What is held meanwhile may be too new to be found, so it stays held.
        held = {name: pool.held_stans for name, pool in self._networks.items()}
        found = await self._attempts.open_stans()
        for name, pool in self._networks.items():
            still_open = found.get(name, set())
            pool.let_go(*(held[name] - still_open))
            pool.hold(*still_open)

    async def stop(self) -> None:
        """Finish with the replies that came in."""
        await self._strays.stop()

    async def inquire(
        self, merchant_id: str, attempt_id: str
    ) -> tuple[Outcome | None, AuthorizationResponse | None]:
        """Ask the network what became of an attempt; no outcome: it knows no such exchange.

        Raises ResourceMissing, AttemptInUnexpectedState, InquiryNotOffered, CardNetworkUnavailable.
        """
        _, attempt = await self.change(merchant_id, attempt_id, self._expired("inquired about"))
        if self._networks[attempt.network].rules.inquiry is None:
            raise InquiryNotOffered
        money = Money(attempt.amount_minor, attempt.currency)
        pan = await self.pans.find(attempt)
        sent = self._message("0100")
        with self._networks[attempt.network].reserve() as reservation:
            try:
                response = await reservation.inquire(attempt.rrn, money, pan)
            except NotSent:
                return NO_ANSWER, None
            except NoAnswer:
                await self._note(attempt, sent)
                return NO_ANSWER, None
        got = self._message("0110", response.response_code)
        await self._note(attempt, sent, got)
        if response.response_code == NOT_FOUND:
            return None, response
        if response.network_trace_id is None:
            return NO_ANSWER, response  # it may be about the inquiry itself
        return judge(response, attempt), response

    async def resolve(
        self, merchant_id: str, attempt_id: str, judged: Callable[[Attempt], Outcome]
    ) -> Attempt:
        """Settle an attempt without an answer. Raises ResourceMissing, AttemptInUnexpectedState."""

        def decide(transaction: Transaction, attempt: Attempt) -> Exchange:
            return resolution.resolve(transaction, attempt, judged(attempt))

        await self.change(merchant_id, attempt_id, self._expired("resolved"))
        _, attempt = await self.change(merchant_id, attempt_id, decide)
        return attempt

    async def reverse(self, merchant_id: str, attempt_id: str, reason: ReversalReason) -> Attempt:
        """Let an attempt be undone. Raises ResourceMissing, AttemptInUnexpectedState."""
        await self.change(merchant_id, attempt_id, self._expired("reversed"))
        _, attempt = await self.change(
            merchant_id,
            attempt_id,
            lambda transaction, attempt: (
                transaction,
                resolution.begin_reversal(attempt, reason),
            ),
        )
        return attempt

    async def take_late_answer(self, attempt: Attempt, outcome: Outcome) -> Transaction:
        """Take an answer that nobody waits for any more; return the transaction as it stands."""
        transaction, _ = await self.change(
            attempt.merchant_id,
            attempt.id,
            lambda transaction, attempt: resolution.take_late_answer(transaction, attempt, outcome),
        )
        return transaction

    def take_stray(self, network: str, elements: Elements) -> None:
        """Take a reply that answers nothing that waits, without making the connection wait."""
        self._strays.take(network, elements)

    async def send_reversal(self, attempt: Attempt) -> None:
        """Send the advice of a claimed reversal once, and write down what came of it."""
        try:
            pan = await self.pans.find(attempt)
            reservation = self._networks[attempt.network].reserve()
        except (CardNetworkUnavailable, KeyStoreUnavailable):
            LOG.info("a reversal waits to be sent", extra={"attempt_id": attempt.id})
            await self.change(attempt.merchant_id, attempt.id, self._after_advice("", ()))
            return
        with reservation:
            # One that had a name before may have been sent, also by a process that died since.
            is_repeat = attempt.reversal is not None and attempt.reversal.stan is not None
            _, attempt = await self.change(
                attempt.merchant_id, attempt.id, _addressed(reservation.trace)
            )
            if not resolution.is_undone(attempt):
                await self._advise(reservation, attempt, pan, is_repeat=is_repeat)

    async def give_up_never_recorded(self, limit: int) -> int:
        """Fail transactions for which nothing was ever sent; return how many were looked at."""
        before = self._clock.now() - NEVER_RECORDED_AFTER
        found = await self._attempts.never_recorded(before, limit)
        for transaction in found:
            try:
                terms = await self._intents.look_up(
                    transaction.merchant_id, transaction.mode, transaction.payment_intent_id
                )
            except DomainError as refused:
                if refused.kind is not Kind.NOT_FOUND:
                    return 0
                await self._charges.abandonments.submit((transaction.merchant_id, transaction.id))
                continue
            failed = replace(
                transaction,
                amount_minor=terms.amount_minor,
                currency=terms.currency,
                status=TransactionStatus.FAILED,
                failure=ABANDONED,
            )
            if await self._attempts.give_up(failed):
                await self.tell(failed)
        return len(found)

    async def tell_abandoned_claims(self, limit: int) -> int:
        """Tell intents of transactions that were taken back; return how many know by now.

        Whoever took one back was refused the intent. Another process may have claimed it for the
        same transaction since, and be gone; after this time no claim can follow.
        """
        before = self._clock.now() - NEVER_RECORDED_AFTER
        told = []
        for claim in await self._attempts.abandoned_claims(before, limit):
            try:
                await self._intents.apply_abandonment(claim)
            except DomainError as refused:
                if refused.kind is Kind.UNAVAILABLE:
                    break  # it is told the next time
            told.append(claim)
        if told:
            await self._attempts.forget(told)
        return len(told)

    async def count(self, created_from: int, created_until: int) -> int:
        """Return how many attempts were recorded in a span of time, Unix seconds."""
        return await self._attempts.count(created_from, created_until)

    @property
    def lease(self) -> timedelta:
        """How long what is claimed to be sent is this process's: longer than any network takes."""
        timeouts_s = (pool.rules.timeout_s for pool in self._networks.values())
        return timedelta(seconds=max(timeouts_s, default=0.0)) + LEASE_MARGIN

    async def claim_reversals(self, limit: int) -> list[Exchange]:
        """Return reversals that are due, for this process to send."""
        return await self._attempts.claim_reversals(limit, self.lease)

    async def tell(self, transaction: Transaction) -> None:
        """Tell the intent what became of a transaction, so that a merchant reads its own write."""
        try:
            await self._intents.apply_outcome(transaction)
        except DomainError as untold:
            # The same fact travels as an event, which intent_svc applies when it can.
            LOG.warning(
                "the intent could not be told",
                extra={"transaction_id": transaction.id, "reason": untold.reason},
            )

    async def _tell_refused(self, capture: Attempt) -> None:
        try:
            await self._intents.apply_refusal(capture)
        except DomainError as untold:
            about = {"attempt_id": capture.id, "reason": untold.reason}
            LOG.warning("the intent could not be told", extra=about)

    async def _advise(
        self, reservation: Reservation, attempt: Attempt, pan: Pan | None, *, is_repeat: bool
    ) -> None:
        reversal = attempt.reversal
        if reversal is None or not (
            reversal.stan and reversal.transmitted_at and reversal.terminal_id
        ):
            raise AttemptInUnexpectedState(attempt, "advised to be reversed")
        trace = Trace(reversal.transmitted_at, reversal.stan, attempt.rrn, reversal.terminal_id)
        original = Trace(attempt.transmitted_at, attempt.stan, attempt.rrn, attempt.terminal_id)
        undone_minor = attempt.amount_approved_minor or attempt.amount_minor
        money = Money(undone_minor, attempt.currency)
        advice = ReversalAdvice(trace, original, money, pan, reversal.reason, is_repeat)
        self._networks[attempt.network].hold(trace.stan)
        messages: tuple[Message, ...] = (self._message(advice.mti),)
        code = ""
        try:
            code = await reservation.reverse(advice)
        except NotSent:
            messages = ()
        except NoAnswer:
            LOG.info("a reversal got no answer", extra={"attempt_id": attempt.id})
        else:
            messages = (*messages, self._message("0430", code))
        await self.change(attempt.merchant_id, attempt.id, self._after_advice(code, messages))

    def _after_advice(self, code: str, messages: tuple[Message, ...]) -> Decide:
        def decide(transaction: Transaction, attempt: Attempt) -> Exchange:
            if code in REVERSAL_ACKNOWLEDGED:
                return resolution.acknowledge_reversal(transaction, attempt, *messages)
            rule = self._networks[attempt.network].rules.reversal
            now = self._clock.now().timestamp()
            return transaction, resolution.retry_reversal(attempt, rule, now, *messages)

        return decide

    async def _settle_stray(self, network: str, elements: Elements) -> None:
        mti, rrn = elements.get("t", ""), elements.get("37", "").strip()
        if mti not in ANSWERS:
            return  # it is kept and counted where it came in
        exchanges = await self._attempts.by_rrn.submit((network, rrn))
        attempt = answered_by(elements, ANSWERS[mti], exchanges)
        if attempt is None:
            return
        code = elements.get("39", "")
        got = self._message(mti, code)
        if mti == "0110":
            if elements.get("3", "").startswith("31"):
                await self._note(attempt, got)
                return
            outcome = judge(authorization_response(elements), attempt, got)
            await self.take_late_answer(attempt, outcome)
        elif mti == "0230" and judge_capture(code) is not AttemptEvent.NO_ANSWER:
            await self.change(attempt.merchant_id, attempt.id, answered(code, got))
        elif attempt.reversal is not None and code in REVERSAL_ACKNOWLEDGED:
            await self.change(attempt.merchant_id, attempt.id, self._after_advice(code, (got,)))
        else:
            await self._note(attempt, got)

    async def _note(self, attempt: Attempt, *messages: Message) -> None:
        await self.change(
            attempt.merchant_id,
            attempt.id,
            lambda transaction, attempt: (transaction, resolution.note(attempt, *messages)),
        )

    def _expired(self, wish: str) -> Decide:
        now = self._clock.now().timestamp()
        return lambda transaction, attempt: resolution.expire(transaction, attempt, now, wish)

    async def change(self, merchant_id: str, attempt_id: str, decide: Decide) -> Exchange:
        """Decide on the attempt as it is and write it; on what others wrote meanwhile, again.

        Tells the intent when its transaction has come to something.
        """
        for _ in range(ROUNDS_MAX):
            transaction, was = await self._attempts.reads.submit(
                (MerchantId(merchant_id), AttemptId(attempt_id))
            )
            changed, attempt = decide(transaction, was)
            if attempt is was:
                return changed, attempt
            if await self._charges.moves.submit(Move(was, changed, attempt)):
                is_captured = changed.amount_captured_minor > transaction.amount_captured_minor
                if changed.status in FINAL and (transaction.status not in FINAL or is_captured):
                    await self.tell(changed)
                if attempt.is_refused_capture and not was.is_refused_capture:
                    await self._tell_refused(attempt)
                return changed, attempt
        raise ServiceUnavailable("Others change this attempt all the time. Repeat the request.")

    def _message(self, mti: str, response_code: str | None = None) -> Message:
        """Return a message as evidence: one without a response code is one that we sent."""
        at = int(self._clock.now().timestamp())
        return Message(mti, is_sent=response_code is None, at=at, response_code=response_code)


def _addressed(trace: Trace) -> Decide:
    """Give an advice its name, unless it has one or is not needed any more."""

    def decide(transaction: Transaction, attempt: Attempt) -> Exchange:
        reversal = attempt.reversal
        if reversal is None or reversal.stan is not None or resolution.is_undone(attempt):
            return transaction, attempt
        return transaction, resolution.address_reversal(
            attempt, trace.stan, trace.transmitted_at, trace.terminal_id
        )

    return decide
