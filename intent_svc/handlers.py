"""What can be done with payment intents, one function per use case."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from chassis.clock import Clock
from chassis.errors import (
    DomainError,
    IdempotencyKeyInUse,
    Kind,
    ResourceMissing,
    ServiceUnavailable,
)
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.ids import MerchantId, PaymentIntentId, TransactionId, is_id, new_id
from chassis.paging import ANY_TIME, Page, Period
from intent_svc.clients import AuthorizationClient
from intent_svc.domain import fields, payment_intent
from intent_svc.domain.payment_intent import (
    CaptureMethod,
    Duty,
    IntentInUnexpectedState,
    Outcome,
    PartialApproval,
    PaymentIntent,
    Status,
)
from intent_svc.messages import payment_intent_message
from intent_svc.store.archived import ArchivedIntents, Owner
from intent_svc.store.due import DueStore
from intent_svc.store.intents import IntentStore
from intent_svc.store.items import Answer, Change, Changed, Creation, Key
from intent_svc.store.keys import LateAnswer

LOG = logging.getLogger(__name__)
NO_SUCH_INTENT = "No such payment intent."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a merchant asks to collect, as it came."""

    amount_minor: int | None
    currency: str
    description: str | None
    metadata: Mapping[str, str]
    is_manual_capture: bool
    accepts_part: bool


@dataclass(frozen=True, slots=True)
class Found:
    """An intent as it is, or as it was when it was purged."""

    intent: PaymentIntent
    is_archived: bool


class IntentHandlers:
    """The use cases of payment intents."""

    def __init__(  # noqa: PLR0913, PLR0917 each is a neighbour of its own
        self,
        store: IntentStore,
        due: DueStore,
        authorizations: AuthorizationClient,
        archived: ArchivedIntents,
        clock: Clock,
        request_key: bytes,
    ) -> None:
        self._store = store
        self._due = due
        self._authorizations = authorizations
        self._archived = archived
        self._clock = clock
        self._request_key = request_key
        self._capturing: set[Key] = set()

    async def create(self, caller: Caller, wish: Wish, keyed: Keyed | None) -> Answer:
        """Create an intent, or return the first answer that the key got."""
        amount_minor = fields.check_amount(wish.amount_minor)
        currency = fields.check_currency(wish.currency)
        intent = PaymentIntent(
            id=PaymentIntentId(new_id("pi", caller.merchant_id)),
            merchant_id=caller.merchant_id,
            mode=caller.mode,
            amount_minor=amount_minor,
            currency=currency,
            description=fields.check_description(wish.description),
            metadata=fields.check_metadata(wish.metadata),
            created=int(self._now()),
            capture_method=CaptureMethod.MANUAL
            if wish.is_manual_capture
            else CaptureMethod.AUTOMATIC,
            partial_approval=PartialApproval.ACCEPTED
            if wish.accepts_part
            else PartialApproval.REFUSED,
        )
        return await self._store.creations.submit(Creation(intent, keyed))

    def client_secret(self, intent_id: str) -> str:
        """Return what lets a browser make a card token for this intent; derived, never stored."""
        digest = hmac.new(self._request_key, intent_id.encode(), hashlib.sha256).hexdigest()
        return f"{intent_id}_secret_{digest[:32]}"

    async def check_client_secret(
        self, merchant_id: str, mode: str, intent_id: str, client_secret: str
    ) -> None:
        """Return if a browser may pay this intent of the merchant.

        Raises ResourceMissing, IntentInUnexpectedState. A wrong secret is refused before anything
        is read, so it takes as long for an intent that exists as for one that does not.
        """
        expected = self.client_secret(intent_id).encode()
        if not hmac.compare_digest(expected, client_secret.encode()):
            raise ResourceMissing(NO_SUCH_INTENT, param="paymentIntentId")
        payment_intent.check_still_payable(await self.look_up(merchant_id, mode, intent_id))

    async def get(self, caller: Caller, intent_id: str) -> PaymentIntent:
        """Return the caller's intent. Raises ResourceMissing."""
        return await self.look_up(caller.merchant_id, caller.mode, intent_id)

    async def read(self, merchant_id: str, mode: str, intent_id: str) -> Found:
        """Return a merchant's intent, from the archive if it was purged.

        Raises ResourceMissing; ServiceUnavailable, Overloaded where the archive can't say now.
        """
        try:
            return Found(await self.look_up(merchant_id, mode, intent_id), is_archived=False)
        except ResourceMissing:
            is_known = is_id("pi", intent_id)
            intent = is_known and await self._archived.find(merchant_id, mode, intent_id)
            if not intent:
                raise
            return Found(intent, is_archived=True)

    async def find_purged(self, payments: Sequence[Owner]) -> Sequence[str]:
        """Return the ids of payments that were purged."""
        return await self._archived.which(payments)

    async def look_up(self, merchant_id: str, mode: str, intent_id: str) -> PaymentIntent:
        """Return a merchant's intent. Raises ResourceMissing."""
        if not is_id("pi", intent_id):
            raise ResourceMissing(NO_SUCH_INTENT, param="paymentIntentId")
        owned = MerchantId(merchant_id), PaymentIntentId(intent_id)
        intent = await self._store.reads.submit(owned)
        if intent.mode != mode:
            raise ResourceMissing(NO_SUCH_INTENT, param="paymentIntentId")
        return intent

    async def list(
        self,
        caller: Caller,
        page: Page,
        status: Status | None = None,
        created: Period = ANY_TIME,
    ) -> tuple[list[PaymentIntent], bool]:
        """Return a page of the caller's intents and whether there are more."""
        return await self._store.page(caller, page, status, created)

    async def cancel(self, caller: Caller, intent_id: str, keyed: Keyed | None) -> Changed:
        """Give a payment up; the release of what is held is written down and follows."""
        decide = partial(payment_intent.cancel, now=self._now())
        changed = await self._store.changes.submit(_wished(caller, intent_id, decide, keyed))
        if changed.replay is None and changed.intent.due is not None:
            await self._hand_over(changed.intent)
        return changed

    async def capture(
        self, caller: Caller, intent_id: str, amount_minor: int | None, keyed: Keyed | None
    ) -> Answer:
        """Collect authorized funds, and wait for the card network's answer.

        The key is written with the wish and answered when the outcome is known or takes too long.
        If this process dies in between, a repeated call goes on once nobody can be waiting any
        more; where two do, the answer that is written first is that of both.
        """
        amount_minor = fields.check_amount_to_capture(amount_minor)
        decide = partial(payment_intent.begin_capture, amount_minor=amount_minor, now=self._now())
        wish = _wished(caller, intent_id, decide, keyed, is_answered_later=True)
        if keyed is None:
            changed = await self._store.changes.submit(wish)
            return Answer(await self._captured(caller, changed), is_replay=False)
        key = (caller.merchant_id, caller.mode, keyed.key)
        if key in self._capturing:
            raise IdempotencyKeyInUse
        self._capturing.add(key)
        try:
            changed = await self._store.changes.submit(wish)
            if changed.replay is not None:
                return Answer(changed.replay, is_replay=True)
            response = await self._captured(caller, changed)
            late = LateAnswer(caller.merchant_id, caller.mode, keyed.key, response)
            return Answer(await self._store.keys.answers.submit(late), is_replay=False)
        finally:
            self._capturing.discard(key)

    async def claim_due(self, limit: int) -> Sequence[PaymentIntent]:
        """Return intents about which something is to be done, for this process to do."""
        return await self._due.claim(limit)

    async def do_due(self, intent: PaymentIntent) -> None:
        """Do what a claimed intent is due for. What fails comes back when its lease is over."""
        now = self._now()
        duty = payment_intent.duty(intent, now)
        try:
            if duty is Duty.TELL_EXPIRING:
                await self._change(intent, payment_intent.tell_expiring)
                return
            if duty is Duty.EXPIRE:
                intent = await self._change(intent, partial(payment_intent.cancel, now=now))
        except IntentInUnexpectedState:
            return  # the merchant came first
        await self._hand_over(intent)

    async def begin_processing(
        self, merchant_id: str, mode: str, intent_id: str, transaction_id: str, claim_before: float
    ) -> PaymentIntent:
        """Give an intent to a transaction. Raises ServiceUnavailable after claim_before."""
        if self._now() >= claim_before:
            raise ServiceUnavailable("The transaction may have been given up by now.")
        changed = await self._store.changes.submit(
            Change(
                MerchantId(merchant_id),
                PaymentIntentId(intent_id),
                mode,
                partial(
                    payment_intent.begin_processing, transaction_id=TransactionId(transaction_id)
                ),
            )
        )
        return changed.intent

    async def apply_outcome(self, told: Told, consumed_id: str | None = None) -> PaymentIntent:
        """Tell an intent what became of its transaction."""
        changed = await self._store.changes.submit(
            Change(
                MerchantId(told.merchant_id),
                PaymentIntentId(told.intent_id),
                None,
                partial(
                    payment_intent.apply_outcome,
                    transaction_id=TransactionId(told.transaction_id),
                    outcome=told.outcome,
                    now=self._now(),
                ),
                consumed_id=consumed_id,
            )
        )
        return changed.intent

    async def _captured(self, caller: Caller, changed: Changed) -> bytes:
        """Have funds captured; return the intent as it then stands, as the answer has it."""
        intent = changed.intent
        if changed.is_begun:  # what was read may be older than the key
            intent = await self.get(caller, intent.id)
        if intent.status is Status.CAPTURING:
            waited_until = await self._hand_over(intent)
            if changed.is_begun and self._now() <= waited_until:
                raise IdempotencyKeyInUse
            intent = await self.get(caller, intent.id)
        return payment_intent_message(intent).SerializeToString(deterministic=True)

    async def _hand_over(self, intent: PaymentIntent) -> int:
        """Have txn_svc capture or release what is held; what fails now is due again.

        Returns until when another call waits for the capture, Unix seconds, or 0.
        """
        waited_until = 0
        try:
            if intent.status is Status.CAPTURING:
                waited_until = await self._authorizations.capture(intent)
            else:
                await self._authorizations.void(intent)
            await self._due.handed_over.submit(intent)
        except DomainError as refused:
            level = logging.INFO if refused.kind is Kind.UNAVAILABLE else logging.ERROR
            about = {"payment_intent_id": intent.id, "reason": refused.reason}
            LOG.log(level, "not handed over", extra=about)
        return waited_until

    async def _change(
        self, intent: PaymentIntent, decide: Callable[[PaymentIntent], PaymentIntent]
    ) -> PaymentIntent:
        change = Change(intent.merchant_id, intent.id, None, decide)
        return (await self._store.changes.submit(change)).intent

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _wished(
    caller: Caller,
    intent_id: str,
    decide: Callable[[PaymentIntent], PaymentIntent],
    keyed: Keyed | None,
    *,
    is_answered_later: bool = False,
) -> Change:
    if not is_id("pi", intent_id):
        raise ResourceMissing(NO_SUCH_INTENT, param="paymentIntentId")
    return Change(
        caller.merchant_id,
        PaymentIntentId(intent_id),
        caller.mode,
        decide,
        keyed,
        is_answered_later=is_answered_later,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a transaction, for certain."""

    merchant_id: str
    intent_id: str
    transaction_id: str
    outcome: Outcome
