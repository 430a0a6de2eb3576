"""What can be done with payment intents, one function per use case."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from chassis.clock import Clock
from chassis.errors import ResourceMissing
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.ids import MerchantId, PaymentIntentId, TransactionId, is_id, new_id
from chassis.paging import ANY_TIME, Page, Period
from intent_svc import domain
from intent_svc.domain import (
    CaptureMethodNotSupported,
    IntentInUnexpectedState,
    PaymentIntent,
    Status,
)
from intent_svc.store.intents import IntentStore
from intent_svc.store.items import Answer, Change, Changed, Creation


@dataclass(frozen=True, slots=True)
class Wish:
    """What a merchant asks to collect, as it came."""

    amount_minor: int | None
    currency: str
    description: str | None
    metadata: Mapping[str, str]
    is_manual_capture: bool


class IntentHandlers:
    """The use cases of payment intents."""

    def __init__(self, store: IntentStore, clock: Clock, request_key: bytes) -> None:
        self._store = store
        self._clock = clock
        self._request_key = request_key

    async def create(self, caller: Caller, wish: Wish, keyed: Keyed | None) -> Answer:
        """Create an intent, or return the first answer that the key got."""
        amount_minor = domain.check_amount(wish.amount_minor)
        currency = domain.check_currency(wish.currency)
        if wish.is_manual_capture:
            raise CaptureMethodNotSupported
        intent = PaymentIntent(
            id=PaymentIntentId(new_id("pi", caller.merchant_id)),
            merchant_id=caller.merchant_id,
            mode=caller.mode,
            amount_minor=amount_minor,
            currency=currency,
            description=domain.check_description(wish.description),
            metadata=domain.check_metadata(wish.metadata),
            created=int(self._clock.now().timestamp()),
        )
        return await self._store.creations.submit(Creation(intent, keyed))

    def client_secret(self, intent_id: str) -> str:
        """Return what lets a browser make a card token for this intent; derived, never stored."""
        digest = hmac.new(self._request_key, intent_id.encode(), hashlib.sha256).hexdigest()
        return f"{intent_id}_secret_{digest[:32]}"

    async def get(self, caller: Caller, intent_id: str) -> PaymentIntent:
        """Return the caller's intent. Raises ResourceMissing."""
        return await self.look_up(caller.merchant_id, caller.mode, intent_id)

    async def look_up(self, merchant_id: str, mode: str, intent_id: str) -> PaymentIntent:
        """Return a merchant's intent. Raises ResourceMissing."""
        if not is_id("pi", intent_id):
            raise ResourceMissing("No such payment intent.", param="paymentIntentId")
        owned = MerchantId(merchant_id), PaymentIntentId(intent_id)
        intent = await self._store.reads.submit(owned)
        if intent.mode != mode:
            raise ResourceMissing("No such payment intent.", param="paymentIntentId")
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
        """Give a payment up."""
        if not is_id("pi", intent_id):
            raise ResourceMissing("No such payment intent.", param="paymentIntentId")
        return await self._store.changes.submit(
            Change(
                caller.merchant_id,
                PaymentIntentId(intent_id),
                caller.mode,
                domain.cancel,
                keyed,
            )
        )

    async def capture(self, caller: Caller, intent_id: str) -> PaymentIntent:
        """Refuse: without manual capture no intent is ever authorized."""
        intent = await self.get(caller, intent_id)
        if intent.status is not Status.AUTHORIZED:
            raise IntentInUnexpectedState(intent.status, "captured")
        raise CaptureMethodNotSupported

    async def begin_processing(
        self, merchant_id: str, mode: str, intent_id: str, transaction_id: str
    ) -> PaymentIntent:
        """Give an intent to a transaction."""
        changed = await self._store.changes.submit(
            Change(
                MerchantId(merchant_id),
                PaymentIntentId(intent_id),
                mode,
                partial(domain.begin_processing, transaction_id=TransactionId(transaction_id)),
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
                lambda intent: domain.apply_outcome(
                    intent,
                    TransactionId(told.transaction_id),
                    told.outcome,
                    amount_captured_minor=told.amount_captured_minor,
                    failure=told.failure,
                ),
                consumed_id=consumed_id,
            )
        )
        return changed.intent


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a transaction, for certain."""

    merchant_id: str
    intent_id: str
    transaction_id: str
    outcome: domain.Event
    amount_captured_minor: int = 0
    failure: domain.Failure | None = None
