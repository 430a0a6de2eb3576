"""Kafka in: attempts' outcomes, so that an intent is right even when the direct call was lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from paymesh.events.v1 import attempt_event_pb2
from paymesh.txn.v1 import attempt_pb2, transaction_pb2

from chassis.consumer import PoisonRecord, Record
from chassis.errors import DomainError, Kind
from intent_svc.domain.payment_intent import Event, Outcome
from intent_svc.handlers import IntentHandlers, Told
from intent_svc.messages import failure_of

LOG = logging.getLogger(__name__)
GROUP = "intent-attempts"
TOPICS = ["events.attempt"]

REFUSED_CAPTURE = attempt_pb2.AttemptKindEnum.capture, attempt_pb2.AttemptStatusEnum.failed
_STATUS = transaction_pb2.TransactionStatusEnum


class AttemptConsumer:
    """Applies final outcomes of transactions to the intents they hold."""

    def __init__(self, handlers: IntentHandlers) -> None:
        self._handlers = handlers

    async def handle(self, records: Sequence[Record]) -> None:
        """Apply the records; those of one partition are in order within an intent."""
        told = [(record, _told(record)) for record in records]
        await asyncio.gather(
            *(self._apply(record, outcome) for record, outcome in told if outcome is not None)
        )

    async def _apply(self, record: Record, told: Told) -> None:
        try:
            await self._handlers.apply_outcome(told, consumed_id=record.event_id)
        except DomainError as refused:
            if refused.kind is Kind.UNAVAILABLE:
                raise
            if told.outcome.event is Event.FAIL and refused.kind is Kind.WRONG_STATE:
                # Nothing was charged by a transaction that no longer holds the intent: old news.
                LOG.info("stale outcome", extra={"transaction_id": told.transaction_id})
                return
            raise PoisonRecord(f"{refused.reason} for {told.transaction_id}") from refused


def _told(record: Record) -> Told | None:
    """Return what the record says for certain, or None while the outcome is open."""
    try:
        event = attempt_event_pb2.AttemptEvent.FromString(record.value)
    except DecodeError as broken:
        raise PoisonRecord("not an AttemptEvent") from broken
    transaction = event.transaction
    if (event.attempt.kind, event.attempt.status) == REFUSED_CAPTURE:
        refusal = Outcome(
            Event.REFUSE_CAPTURE,
            failure=failure_of(event.attempt.failure),
            capture_number=event.attempt.capture_number,
        )
        return _about(event, refusal)
    is_hold = transaction.HasField("capture_before")
    if transaction.status == _STATUS.succeeded:
        is_held = is_hold and not transaction.amount_captured_in_cents
        became = Event.AUTHORIZE if is_held else Event.SUCCEED
    elif transaction.status == _STATUS.failed:
        became = Event.FAIL
    else:
        return None
    outcome = Outcome(
        became,
        transaction.amount_captured_in_cents,
        failure_of(transaction.failure) if transaction.HasField("failure") else None,
        transaction.capture_before if became is Event.AUTHORIZE else None,
        amount_authorized_minor=transaction.amount_approved_in_cents,
    )
    return _about(event, outcome)


def _about(event: attempt_event_pb2.AttemptEvent, outcome: Outcome) -> Told:
    transaction = event.transaction
    return Told(event.merchant_id, transaction.payment_intent_id, transaction.id, outcome)
