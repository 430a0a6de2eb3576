"""Kafka in: attempts' events become rows, and those without an answer something to be done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from opentelemetry import metrics
from paymesh.events.v1 import attempt_event_pb2
from paymesh.intent.v1 import payment_intent_pb2
from paymesh.merchant.v1 import mode_pb2
from paymesh.txn.v1 import attempt_pb2

from chassis.consumer import PoisonRecord, Record
from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId
from recon_svc.domain.resolution import Attempt, AttemptStatus, becomes_certain
from recon_svc.store.attempts import AttemptStore

GROUP = "recon-attempts"
TOPICS = ["events.attempt"]
MODE_NAMES = {number: name for name, number in mode_pb2.ModeEnum.Mode.items()}
STATUS_NAMES = {
    number: name for name, number in attempt_pb2.AttemptStatusEnum.AttemptStatus.items()
}
KIND_NAMES = {number: name for name, number in attempt_pb2.AttemptKindEnum.AttemptKind.items()}
REVERSAL_NAMES = {
    number: name for name, number in attempt_pb2.ReversalStatusEnum.ReversalStatus.items()
}

_meter = metrics.get_meter("paymesh")
time_to_certainty = _meter.create_histogram(
    "paymesh_time_to_certainty",
    unit="s",
    description="From an attempt's deadline to its final state, for those without an answer.",
)


class AttemptConsumer:
    """Keeps attempts as their events tell of them."""

    def __init__(self, store: AttemptStore) -> None:
        self._store = store

    async def handle(self, records: Sequence[Record]) -> None:
        """Write the attempts of these records; what is older than is known changes nothing."""
        events = [_event(record) for record in records]
        new = await self._store.take(
            [_attempt(event) for event in events if event.HasField("attempt")]
        )
        for event in events:
            is_new = event.attempt.id in new
            if is_new and becomes_certain(event.type, STATUS_NAMES[event.attempt.status]):
                late_s = max(0.0, time.time() - event.attempt.deadline)
                time_to_certainty.record(late_s, {"network": event.attempt.network})


def _event(record: Record) -> attempt_event_pb2.AttemptEvent:
    try:
        return attempt_event_pb2.AttemptEvent.FromString(record.value)
    except DecodeError as broken:
        raise PoisonRecord("not an AttemptEvent") from broken


def _attempt(event: attempt_event_pb2.AttemptEvent) -> Attempt:
    told = event.attempt
    return Attempt(
        id=AttemptId(told.id),
        merchant_id=MerchantId(event.merchant_id),
        mode=MODE_NAMES[event.mode],
        payment_intent_id=PaymentIntentId(told.payment_intent_id),
        transaction_id=TransactionId(told.transaction_id),
        network=told.network,
        status=AttemptStatus(STATUS_NAMES[told.status]),
        amount_minor=told.amount_in_cents,
        currency=told.currency,
        stan=told.stan,
        rrn=told.rrn,
        transmitted_at=told.transmitted_at,
        deadline=told.deadline,
        created=told.created,
        version=event.version,
        reversal=REVERSAL_NAMES[told.reversal] if told.HasField("reversal") else None,
        response_code=told.response_code if told.HasField("response_code") else None,
        approval_code=told.approval_code if told.HasField("approval_code") else None,
        network_trace_id=told.network_trace_id if told.HasField("network_trace_id") else None,
        kind=KIND_NAMES[told.kind],
        overdue_since=told.overdue_since if told.HasField("overdue_since") else None,
        is_hold=KIND_NAMES[told.kind] == "authorization"
        and event.transaction.HasField("capture_before"),
        accepts_part=told.partial_approval == payment_intent_pb2.PartialApprovalEnum.accepted,
        amount_approved_minor=told.amount_approved_in_cents
        if told.HasField("amount_approved_in_cents")
        else None,
    )
