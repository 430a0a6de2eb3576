"""Charges: a card is charged once, whatever dies on the way; and what became of it.

The order of a charge makes a crash at any point harmless: write the transaction, claim the intent,
write the attempt, send, write the outcome, tell the intent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chassis.clock import Clock
from chassis.errors import (
    DomainError,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    Kind,
    ParameterInvalid,
    ResourceMissing,
)
from chassis.identity import Caller
from chassis.ids import AttemptId, CardTokenId, PaymentIntentId, TransactionId, is_id, new_id
from chassis.money import Money
from chassis.paging import Page
from txn_svc.cards.envelope import Envelope
from txn_svc.clients import IntentClient, Terms
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptStatus, Message
from txn_svc.domain.card import Card, CardFields, brand_of, check_card
from txn_svc.domain.card_token import CardTokenRefused
from txn_svc.domain.transaction import (
    ABANDONED,
    FINAL,
    NEVER_SENT,
    NO_ANSWER,
    Outcome,
    RawCardNotAllowed,
    Transaction,
    TransactionStatus,
    TransactionTypeNotSupported,
    settle,
)
from txn_svc.handlers.answers import judge
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.card_tokens import CardTokenHandlers
from txn_svc.networks.pool import (
    CardNetworkUnavailable,
    NetworkPool,
    NoAnswer,
    NotSent,
    Reservation,
)
from txn_svc.store.archived import ArchivedCharges
from txn_svc.store.charges import Beginning, ChargeStore, Key, Known
from txn_svc.store.rows import Move, Step

NO_FIELDS = CardFields(None, None, None, None)


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


@dataclass(frozen=True, slots=True)
class Found:
    """A transaction and its attempts as they are, or as they were when they were purged."""

    transaction: Transaction
    attempts: Sequence[Attempt]
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of transactions, newest first. has_more: in the page's direction."""

    transactions: Sequence[Transaction]
    has_more: bool
    is_archived: bool


class ChargeHandlers:
    """The use cases of transactions."""

    def __init__(  # noqa: PLR0913, PLR0917 each is a neighbour of its own
        self,
        store: ChargeStore,
        resolver: AttemptHandlers,
        intents: IntentClient,
        tokens: CardTokenHandlers,
        archived: ArchivedCharges,
        networks: Mapping[str, NetworkPool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._intents = intents
        self._tokens = tokens
        self._archived = archived
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
        transaction, authorization, captures = await self._store.reads.submit(
            (caller.merchant_id, TransactionId(transaction_id))
        )
        if (transaction.mode, transaction.payment_intent_id) != (caller.mode, intent_id):
            raise ResourceMissing("No such transaction.", param="transactionId")
        return transaction, [*([] if authorization is None else [authorization]), *captures]

    async def read(self, caller: Caller, intent_id: str, transaction_id: str) -> Found:
        """Return the caller's transaction and its attempts, from the archive if it was purged.

        Raises ResourceMissing; ServiceUnavailable, Overloaded where the archive can't say now.
        """
        try:
            return Found(*await self.get(caller, intent_id, transaction_id), is_archived=False)
        except ResourceMissing:
            archived = is_id("pi", intent_id) and await self._archived.find(caller, intent_id)
            for transaction, attempts in archived or ():
                if transaction.id == transaction_id:
                    return Found(transaction, attempts, is_archived=True)
            raise

    async def list(self, caller: Caller, intent_id: PaymentIntentId, page: Page) -> Listed:
        """Return a page of an intent's transactions, from the archive if they were purged.

        Raises ResourceMissing's like when there is no such intent, and as `read` does.
        """
        found, has_more = await self._store.page(caller, intent_id, page)
        if found:
            return Listed(found, has_more, is_archived=False)
        archived = await self._archived.find(caller, intent_id)
        if archived is not None:
            on_page, has_more = page.part_of([each for each, _ in archived], lambda each: each.id)
            return Listed(on_page, has_more, is_archived=True)
        await self._intents.look_up(caller.merchant_id, caller.mode, intent_id)
        return Listed([], has_more=False, is_archived=False)

    def _checked(self, caller: Caller, wish: ChargeWish) -> Card | None:
        """Return the card that the wish holds, or None if it names a token."""
        if wish.type_name != "charge":
            raise TransactionTypeNotSupported(wish.type_name)
        if not is_id("pi", wish.payment_intent_id):
            raise ResourceMissing("No such payment intent.", param="paymentIntentId")
        if caller.mode == "live" and wish.card.number:
            raise RawCardNotAllowed
        if wish.token is not None:
            if wish.card != NO_FIELDS:
                raise ParameterInvalid("Give a token or a card's fields.", param="card.token")
            return None
        return check_card(wish.card, self._clock.now().date())

    async def _charge(self, caller: Caller, wish: ChargeWish, card: Card | None) -> Answer:
        try:
            if card is None:
                card = await self._tokens.open(caller, wish.token or "", wish.payment_intent_id)
            reservation = self._networks[brand_of(card.pan).network].reserve()
        except (CardTokenRefused, CardNetworkUnavailable) as refused:
            known = await self._store.by_key.submit((caller.merchant_id, caller.mode, wish.key))
            is_to_repeat = isinstance(refused, CardNetworkUnavailable)
            if known is None or (is_to_repeat and _is_unsent(known)):
                raise
            return await self._replay(known, wish)
        with reservation:
            transaction_id = TransactionId(new_id("txn", caller.merchant_id))
            kept = await self._tokens.keep(card, caller.merchant_id, transaction_id)
            transaction = Transaction(
                id=transaction_id,
                merchant_id=caller.merchant_id,
                mode=caller.mode,
                payment_intent_id=PaymentIntentId(wish.payment_intent_id),
                card=kept.card,
                created=int(self._clock.now().timestamp()),
                card_token=CardTokenId(wish.token) if wish.token is not None else None,
            )
            known = await self._begin(caller, Beginning(transaction, wish.key, wish.request_hash))
            if known is not None:
                if known.request_hash != wish.request_hash or not _is_unsent(known):
                    return await self._replay(known, wish)
                transaction = known.transaction  # begun before, and nothing was ever sent for it
                kept = await self._tokens.keep(card, caller.merchant_id, transaction.id)
            terms = await self._claim(transaction)
            return await self._send(transaction, terms, reservation, card, kept.envelope)

    async def _begin(self, caller: Caller, beginning: Beginning) -> Known | None:
        """Write the transaction, which uses its card token up; return what the key was used for.

        Raises CardTokenUsed, IdempotencyKeyInUse.
        """
        try:
            return await self._store.beginnings.submit(beginning)
        except IdempotencyKeyInUse:
            if beginning.transaction.card_token is not None:
                await self._tokens.check_unused(caller, beginning.transaction.card_token)
            raise

    async def _replay(self, known: Known, wish: ChargeWish) -> Answer:
        """Return what the key was first answered. Raises IdempotencyKeyReused, …InUse."""
        if known.request_hash != wish.request_hash:
            raise IdempotencyKeyReused
        transaction, attempt = known.transaction, known.attempt
        if _is_unsent(known):  # its card is no more; soon it is given up
            raise IdempotencyKeyInUse
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
        self,
        transaction: Transaction,
        terms: Terms,
        reservation: Reservation,
        card: Card,
        envelope: Envelope,
    ) -> Answer:
        attempt = self._new_attempt(transaction, terms, reservation)
        transaction = replace(
            transaction,
            amount_minor=terms.amount_minor,
            currency=terms.currency,
            capture_before=attempt.capture_before,
        )
        send_until = time.monotonic() + attempt.deadline - self._clock.now().timestamp()
        await self._record(Step(transaction, attempt, envelope))
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
            outcome = judge(response, attempt, sent, got)
        return Answer(await self._settle(transaction, attempt, outcome), is_replay=False)

    async def _record(self, step: Step) -> None:
        """Write down what will be sent. Raises IdempotencyKeyInUse: then it must not be sent."""
        transaction = step.transaction
        try:
            await self._store.records.submit(step)
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
            accepts_part=terms.accepts_part,
        )


def _is_unsent(known: Known) -> bool:
    """Return whether the charge was begun and may go on, since nothing was ever sent for it."""
    return known.attempt is None and known.transaction.status is TransactionStatus.PENDING
