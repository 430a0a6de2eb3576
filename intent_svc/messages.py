"""A payment intent as its protobuf messages: the public resource and the event."""

from __future__ import annotations

from paymesh.events.v1 import payment_intent_event_pb2
from paymesh.intent.v1 import failure_pb2, payment_intent_pb2

from intent_svc.domain.payment_intent import PUBLIC_NAMES, Failure, PaymentIntent


def payment_intent_message(
    intent: PaymentIntent, client_secret: str | None = None
) -> payment_intent_pb2.PaymentIntent:
    """Return the intent as the API shows it; the client secret only in the answer to a create."""
    message = payment_intent_pb2.PaymentIntent(
        id=intent.id,
        amount_in_cents=intent.amount_minor,
        currency=intent.currency,
        status=PUBLIC_NAMES[intent.status],
        capture_method=str(intent.capture_method),
        description=intent.description,
        metadata=intent.metadata,
        amount_captured_in_cents=intent.amount_captured_minor,
        latest_transaction_id=intent.latest_transaction_id,
        client_secret=client_secret,
        created=intent.created,
        mode=intent.mode,
        capture_before=intent.capture_before,
        partial_approval=str(intent.partial_approval),
        amount_authorized_in_cents=intent.amount_authorized_minor,
    )
    if intent.last_failure is not None:
        message.last_failure.CopyFrom(_failure_message(intent.last_failure))
    return message


def payment_intent_event(
    intent: PaymentIntent, type_: str, event_id: str, created: int
) -> payment_intent_event_pb2.PaymentIntentEvent:
    """Return the event that tells of the intent's last change."""
    return payment_intent_event_pb2.PaymentIntentEvent(
        id=event_id,
        type=type_,
        created=created,
        version=intent.version,
        merchant_id=intent.merchant_id,
        mode=intent.mode,
        payment_intent=payment_intent_message(intent),
    )


def failure_of(message: failure_pb2.Failure) -> Failure:
    """Return the failure that a message tells of."""
    return Failure(
        code=message.code,
        message=message.message,
        decline_code=message.decline_code if message.HasField("decline_code") else None,
    )


def _failure_message(failure: Failure) -> failure_pb2.Failure:
    return failure_pb2.Failure(
        code=failure.code, decline_code=failure.decline_code, message=failure.message
    )
