"""Payment intents as rows: what statements are given, and what they return."""

from __future__ import annotations

from datetime import datetime

from chassis.database import Row
from chassis.idempotency import Keyed
from chassis.ids import new_id
from intent_svc.domain.payment_intent import (
    CaptureMethod,
    Failure,
    PartialApproval,
    PaymentIntent,
    Status,
    event_type,
)
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
        "capture_method": intent.capture_method,
        "partial_approval": intent.partial_approval,
        "description": intent.description,
        "metadata": dict(intent.metadata),
        "created": intent.created,
        **_event_columns(intent, "payment.created", intent.created, item.traceparent),
        **_key_columns(item.keyed, answer),
    }


def changed_row(
    item: Change, was: PaymentIntent, intent: PaymentIntent, now: datetime
) -> dict[str, object]:
    """Return an item of CHANGE, without an event where the intent stays as it was."""
    failure = intent.last_failure or Failure("", "")
    event: dict[str, object] = {}
    if intent is not was:
        type_, created = event_type(was, intent), int(now.timestamp())
        event = _event_columns(intent, type_, created, item.traceparent)
    answer = payment_intent_message(intent).SerializeToString(deterministic=True)
    return {
        "merchant_id": intent.merchant_id,
        "id": intent.id,
        "mode": intent.mode,
        "was": was.version,
        "version": intent.version,
        "status": intent.status,
        "amount_authorized_minor": intent.amount_authorized_minor,
        "amount_captured_minor": intent.amount_captured_minor,
        "latest_transaction_id": intent.latest_transaction_id,
        "failure_code": failure.code or None,
        "failure_decline_code": failure.decline_code,
        "failure_message": failure.message or None,
        "amount_to_capture_minor": intent.amount_to_capture_minor,
        "captures": intent.captures,
        "capture_before": intent.capture_before,
        "is_expiring": intent.is_expiring,
        "due": intent.due,
        "consumed_id": item.consumed_id,
        **event,
        **_key_columns(item.keyed, None if item.is_answered_later else answer),
    }


def intent_of(row: Row) -> PaymentIntent:
    """Return the intent that a row holds."""
    failure = None
    if row["failure_code"] is not None:
        failure = Failure(row["failure_code"], row["failure_message"], row["failure_decline_code"])
    capture_before, due = row["capture_before"], row["due"]
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
        capture_method=CaptureMethod(row["capture_method"]),
        amount_to_capture_minor=row["amount_to_capture_minor"],
        capture_before=int(capture_before.timestamp()) if capture_before is not None else None,
        is_expiring=row["is_expiring"],
        due=due.timestamp() if due is not None else None,
        captures=row["captures"],
        partial_approval=PartialApproval(row["partial_approval"]),
        amount_authorized_minor=row["amount_authorized_minor"],
    )


def _event_columns(
    intent: PaymentIntent, type_: str, created: int, traceparent: str | None
) -> dict[str, object]:
    event_id = new_id("evt", intent.merchant_id)
    event = payment_intent_event(intent, type_, event_id, created)
    return {
        "event_id": event_id,
        "event_type": type_,
        "event": event.SerializeToString(),
        "traceparent": traceparent,
    }


def _key_columns(keyed: Keyed | None, response: bytes | None) -> dict[str, object]:
    if keyed is None:
        return {}
    return {"key": keyed.key, "request_hash": keyed.request_hash, "response": response}
