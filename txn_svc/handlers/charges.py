"""Charges: a card is charged once, whatever dies on the way; and what became of it.

The order of a charge makes a crash at any point harmless: write the transaction, claim the intent,
write the attempt, send, write the outcome, tell the intent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from chassis.clock import Clock
from chassis.errors import (
    DomainError,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    Kind,
    ResourceMissing,
)
from chassis.identity import Caller
from chassis.ids import AttemptId, PaymentIntentId, TransactionId, is_id, new_id
from chassis.money import Money
from chassis.paging import Page
from txn_svc.clients import IntentClient, Terms
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptStatus, Message
from txn_svc.domain.card import Card, CardFields, brand_of, check_card
from txn_svc.domain.transaction import (
    ABANDONED,
    FINAL,
    NEVER_SENT,
    NO_ANSWER,
    KeptCard,
    Outcome,
    RawCardNotAllowed,
    Transaction,
    TransactionStatus,
    TransactionTypeNotSupported,
    settle,
)
from txn_svc.handlers.answers import judge
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.networks.pool import (
    CardNetworkUnavailable,
    NetworkPool,
    NoAnswer,
    NotSent,
    Reservation,
)
from txn_svc.store.charges import Beginning, ChargeStore, Key, Known
from txn_svc.store.rows import Move, Step


@dataclass(frozen=True, slots=True)
class ChargeWish:
    """What a merchant asks for, as it came. token: a card token instead of the card's fields."""

    payment_intent_id: str
    type_name: str
    token: str | None
    card: CardFields
    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The transaction as the first answer showed it."""

    transaction: Transaction
    is_replay: bool


class ChargeHandlers:
    """The use cases of transactions."""

    def __init__(
        self,
        store: ChargeStore,
        resolver: AttemptHandlers,
        intents: IntentClient,
        networks: Mapping[str, NetworkPool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._intents = intents
        self._networks = networks
        self._clock = clock
        self._running: dict[Key, asyncio.Task[Answer]] = {}

    async def charge(self, caller: Caller, wish: ChargeWish) -> Answer:
        """Charge a card, or return the first answer that the key got.

        A caller that goes away does not end the charge: what was sent is written down.
        """
        card = self._checked(caller, wish)
        key = (caller.merchant_id, caller.mode, wish.key)
        if key in self._running:
            raise IdempotencyKeyInUse
        task = asyncio.create_task(self._charge(caller, wish, card), name="charge")
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def start(self) -> None:
        """Begin nothing: charges come by calls."""

    async def stop(self) -> None:
        """Wait for the charges whose callers are gone, while the networks are still there."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def get(
        self, caller: Caller, intent_id: str, transaction_id: str
    ) -> tuple[Transaction, list[Attempt]]:
        """Return the caller's transaction and its attempts. Raises ResourceMissing."""
        if not is_id("txn", transaction_id):
            raise ResourceMissing("No such transaction.", param="transactionId")
        transaction, *attempts = await self._store.reads.submit(
            (caller.merchant_id, TransactionId(transaction_id))
        )
        if (transaction.mode, transaction.payment_intent_id) != (caller.mode, intent_id):
            raise ResourceMissing("No such transaction.", param="transactionId")
        return transaction, [attempt for attempt in attempts if attempt is not None]

    async def list(
        self, caller: Caller, intent_id: PaymentIntentId, page: Page
    ) -> tuple[list[Transaction], bool]:
        """Return a page of an intent's transactions and whether there are more.

        Raises ResourceMissing's like when there is no such intent.
        """
        found, has_more = await self._store.page(caller, intent_id, page)
        if not found:
            await self._intents.look_up(caller.merchant_id, caller.mode, intent_id)
        return found, has_more

    def _checked(self, caller: Caller, wish: ChargeWish) -> Card:
        if wish.type_name != "charge":
            raise TransactionTypeNotSupported(wish.type_name)
        if not is_id("pi", wish.payment_intent_id):
            raise ResourceMissing("No such payment intent.", param="paymentIntentId")
        if wish.token is not None:
            raise ResourceMissing("No such card token.", param="card.token")
        if caller.mode == "live" and wish.card.number:
            raise RawCardNotAllowed
        return check_card(wish.card, self._clock.now().date())

    async def _charge(self, caller: Caller, wish: ChargeWish, card: Card) -> Answer:
        brand = brand_of(card.pan)
        try:
            reservation = self._networks[brand.network].reserve()
        except CardNetworkUnavailable:
            known = await self._store.by_key.submit((caller.merchant_id, caller.mode, wish.key))
            if known is None or _is_unsent(known):
                raise
            return await self._replay(known, wish)
        with reservation:
            transaction = Transaction(
                id=TransactionId(new_id("txn", caller.merchant_id)),
                merchant_id=caller.merchant_id,
                mode=caller.mode,
                payment_intent_id=PaymentIntentId(wish.payment_intent_id),
                card=KeptCard(brand.name, card.pan.last4, card.exp_month, card.exp_year),
                created=int(self._clock.now().timestamp()),
            )
            known = await self._store.beginnings.submit(
                Beginning(transaction, wish.key, wish.request_hash)
            )
            if known is not None:
                if known.request_hash != wish.request_hash or not _is_unsent(known):
                    return await self._replay(known, wish)
                transaction = known.transaction  # begun before, and nothing was ever sent for it
            terms = await self._claim(transaction)
            return await self._send(transaction, terms, reservation, card)

    async def _replay(self, known: Known, wish: ChargeWish) -> Answer:
        """Return what the key was first answered. Raises IdempotencyKeyReused, …InUse."""
        if known.request_hash != wish.request_hash:
            raise IdempotencyKeyReused
        transaction, attempt = known.transaction, known.attempt
        if transaction.status is TransactionStatus.PENDING and attempt is not None:
            if self._clock.now().timestamp() <= attempt.deadline:
                raise IdempotencyKeyInUse
            # Whoever sent it is gone, and it may have been sent: that is a missing answer.
            transaction, expired = settle(transaction, attempt, NO_ANSWER)
            if not await self._store.moves.submit(Move(attempt, transaction, expired)):
                raise IdempotencyKeyInUse
        return Answer(transaction.as_first_answered(), is_replay=True)

    async def _claim(self, transaction: Transaction) -> Terms:
        try:
            return await self._intents.begin_processing(transaction)
        except DomainError as refused:
            if refused.kind is not Kind.UNAVAILABLE:
                await self._store.abandonments.submit((transaction.merchant_id, transaction.id))
            raise

    async def _send(
        self, transaction: Transaction, terms: Terms, reservation: Reservation, card: Card
    ) -> Answer:
        attempt = self._new_attempt(transaction, terms, reservation)
        transaction = replace(
            transaction,
            amount_minor=terms.amount_minor,
            currency=terms.currency,
            capture_before=attempt.capture_before,
        )
        send_until = time.monotonic() + attempt.deadline - self._clock.now().timestamp()
        await self._record(transaction, attempt)
        money = Money(terms.amount_minor, terms.currency)
        sent = Message("0100", is_sent=True, at=int(self._clock.now().timestamp()))
        try:
            response = await reservation.authorize(card, money, send_until, is_hold=terms.is_hold)
        except NotSent:
            outcome = Outcome(AttemptEvent.DECLINE, NEVER_SENT)
        except NoAnswer:
            self._networks[reservation.network].hold(attempt.stan)
            outcome = replace(NO_ANSWER, messages=(sent,))
        else:
            at = int(self._clock.now().timestamp())
            got = Message("0110", is_sent=False, at=at, response_code=response.response_code)
            outcome = judge(response, money, sent, got)
        return Answer(await self._settle(transaction, attempt, outcome), is_replay=False)

    async def _record(self, transaction: Transaction, attempt: Attempt) -> None:
        """Write down what will be sent. Raises IdempotencyKeyInUse: then it must not be sent."""
        try:
            await self._store.records.submit(Step(transaction, attempt))
        except IdempotencyKeyInUse:
            failed = replace(transaction, status=TransactionStatus.FAILED, failure=ABANDONED)
            try:
                found, recorded, _ = await self._store.reads.submit(
                    (transaction.merchant_id, transaction.id)
                )
            except ResourceMissing:
                found, recorded = failed, None
            if found.status is TransactionStatus.FAILED and recorded is None:
                # It was given up before we claimed the intent for it, which nobody knows but us.
                await self._resolver.tell(failed)
            raise

    async def _settle(
        self, transaction: Transaction, attempt: Attempt, outcome: Outcome
    ) -> Transaction:
        """Write the outcome and tell the intent; return what the caller is told.

        While this process was frozen others may have taken the attempt for unanswered. Then the
        outcome counts as a late answer.
        """
        settled, after = settle(transaction, attempt, outcome)
        if not await self._store.moves.submit(Move(attempt, settled, after)):
            settled = await self._resolver.take_late_answer(attempt, outcome)
        elif settled.status in FINAL:
            await self._resolver.tell(settled)
        return settled.as_first_answered()

    def _new_attempt(
        self, transaction: Transaction, terms: Terms, reservation: Reservation
    ) -> Attempt:
        now = self._clock.now().timestamp()
        trace = reservation.trace
        rules = self._networks[reservation.network].rules
        return Attempt(
            id=AttemptId(new_id("att", transaction.merchant_id)),
            merchant_id=transaction.merchant_id,
            transaction_id=transaction.id,
            payment_intent_id=transaction.payment_intent_id,
            network=reservation.network,
            amount_minor=terms.amount_minor,
            currency=terms.currency,
            stan=trace.stan,
            rrn=trace.rrn,
            transmitted_at=trace.transmitted_at,
            terminal_id=trace.terminal_id,
            deadline=int(now + rules.timeout_s) + 1,
            created=int(now),
            status=AttemptStatus.RECORDED,
            capture_before=int(now + rules.capture_deadline_h * 3600) if terms.is_hold else None,
        )


def _is_unsent(known: Known) -> bool:
    """Return whether the charge was begun and may go on, since nothing was ever sent for it."""
    return known.attempt is None and known.transaction.status is TransactionStatus.PENDING
