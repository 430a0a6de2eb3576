"""Payment intents as rows: what statements are given, and what they return."""

from __future__ import annotations

from datetime import datetime

from chassis.database import Row
from chassis.idempotency import Keyed
from chassis.ids import new_id
from intent_svc.domain import Failure, PaymentIntent, Status
from intent_svc.messages import payment_intent_event, payment_intent_message
from intent_svc.store.items import Change, Creation


def new_row(item: Creation, answer: bytes) -> dict[str, object]:
    """Return an item of CREATE. answer: what the caller is told, kept with its key."""
    intent = item.intent
    return {
        "merchant_id": intent.merchant_id,
        "id": intent.id,
        "mode": intent.mode,
        "amount_minor": intent.amount_minor,
        "currency": intent.currency,
        "description": intent.description,
        "metadata": dict(intent.metadata),
        "created": intent.created,
        **_event_columns(intent, intent.created, item.traceparent),
        **_key_columns(item.keyed, answer),
    }


def changed_row(
    item: Change, was: PaymentIntent, intent: PaymentIntent, now: datetime
) -> dict[str, object]:
    """Return an item of CHANGE, without an event where the intent stays as it was."""
    failure = intent.last_failure or Failure("", "")
    is_moved = intent is not was
    return {
        "merchant_id": intent.merchant_id,
        "id": intent.id,
        "mode": intent.mode,
        "was": was.version,
        "version": intent.version,
        "status": intent.status,
        "amount_captured_minor": intent.amount_captured_minor,
        "latest_transaction_id": intent.latest_transaction_id,
        "failure_code": failure.code or None,
        "failure_decline_code": failure.decline_code,
        "failure_message": failure.message or None,
        "consumed_id": item.consumed_id,
        **(_event_columns(intent, int(now.timestamp()), item.traceparent) if is_moved else {}),
        **_key_columns(
            item.keyed, payment_intent_message(intent).SerializeToString(deterministic=True)
        ),
    }


def intent_of(row: Row) -> PaymentIntent:
    """Return the intent that a row holds."""
    failure = None
    if row["failure_code"] is not None:
        failure = Failure(row["failure_code"], row["failure_message"], row["failure_decline_code"])
    return PaymentIntent(
        id=row["id"],
        merchant_id=row["merchant_id"],
        mode=row["mode"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        created=int(row["created"].timestamp()),
        description=row["description"],
        metadata=row["metadata"],
        status=Status(row["status"]),
        amount_captured_minor=row["amount_captured_minor"],
        latest_transaction_id=row["latest_transaction_id"],
        last_failure=failure,
        version=row["version"],
    )


def _event_columns(
    intent: PaymentIntent, created: int, traceparent: str | None
) -> dict[str, object]:
    event_id = new_id("evt", intent.merchant_id)
    event = payment_intent_event(intent, event_id, created)
    return {"event_id": event_id, "event": event.SerializeToString(), "traceparent": traceparent}


def _key_columns(keyed: Keyed | None, response: bytes) -> dict[str, object]:
    if keyed is None:
        return {}
    return {"key": keyed.key, "request_hash": keyed.request_hash, "response": response}
