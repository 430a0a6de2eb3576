"""What the intent store is asked for, item by item, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chassis import spans
from chassis.idempotency import Keyed
from chassis.ids import MerchantId, PaymentIntentId
from intent_svc.domain.payment_intent import PaymentIntent

Owned = tuple[MerchantId, PaymentIntentId]
Key = tuple[str, str, str]  # merchant, mode and what the caller named


@dataclass(frozen=True, slots=True)
class Creation:
    """A new intent, with the caller's key if there is one, and the span that wants it."""

    intent: PaymentIntent
    keyed: Keyed | None
    traceparent: str | None = field(default_factory=spans.traceparent)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a keyed call was answered. response: the serialized message, without client secret."""

    response: bytes = field(repr=False)
    is_replay: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A wish to move an intent.

    mode: None for callers who act for the mesh. decide: returns the intent as it shall be, or the
    same one, or raises what the caller gets; it may be called again on a newer intent.
    consumed_id: the id of the event that asks, which is noted with the change.
    is_answered_later: the key's answer is not this change and follows by `KeyStore.answers`.
    traceparent: the span that asks.
    """

    merchant_id: MerchantId
    intent_id: PaymentIntentId
    mode: str | None
    decide: Callable[[PaymentIntent], PaymentIntent]
    keyed: Keyed | None = None
    consumed_id: str | None = None
    is_answered_later: bool = False
    traceparent: str | None = field(default_factory=spans.traceparent)

    @property
    def owned(self) -> Owned:
        """Return what the intent is found by."""
        return self.merchant_id, self.intent_id


@dataclass(frozen=True, slots=True)
class Changed:
    """An intent as it stands after a change; `replay` is the first answer of a used key.

    is_begun: the key was used for the same and has no answer yet.
    """

    intent: PaymentIntent
    replay: bytes | None = field(default=None, repr=False)
    is_begun: bool = False
