"""Transactions and attempts as their protobuf messages."""

from __future__ import annotations

from paymesh.events.v1 import attempt_event_pb2
from paymesh.intent.v1 import failure_pb2
from paymesh.txn.v1 import attempt_pb2, transaction_pb2

from txn_svc.domain.attempt import Attempt
from txn_svc.domain.transaction import Failure, Transaction


def transaction_message(transaction: Transaction) -> transaction_pb2.Transaction:
    """Return the transaction as the API shows it."""
    card = transaction.card
    message = transaction_pb2.Transaction(
        id=transaction.id,
        payment_intent_id=transaction.payment_intent_id,
        type="charge",
        status=str(transaction.status),
        amount_in_cents=transaction.amount_minor or 0,
        currency=transaction.currency or "",
        card=transaction_pb2.Card(
            brand=card.brand, last4=card.last4, exp_month=card.exp_month, exp_year=card.exp_year
        ),
        created=transaction.created,
        mode=transaction.mode,
    )
    if transaction.failure is not None:
        message.failure.CopyFrom(failure_message(transaction.failure))
    return message


def failure_message(failure: Failure) -> failure_pb2.Failure:
    """Return why nothing was charged."""
    return failure_pb2.Failure(
        code=failure.code, decline_code=failure.decline_code, message=failure.message
    )


def attempt_event(
    transaction: Transaction, attempt: Attempt, event_id: str, created: int
) -> attempt_event_pb2.AttemptEvent:
    """Return the event that tells of the attempt's last change."""
    return attempt_event_pb2.AttemptEvent(
        id=event_id,
        type=f"attempt.{attempt.status}",
        created=created,
        version=attempt.version,
        merchant_id=attempt.merchant_id,
        mode=transaction.mode,
        attempt=_attempt_message(attempt),
        transaction=transaction_message(transaction),
    )


def _attempt_message(attempt: Attempt) -> attempt_pb2.Attempt:
    return attempt_pb2.Attempt(
        id=attempt.id,
        transaction_id=attempt.transaction_id,
        payment_intent_id=attempt.payment_intent_id,
        network=attempt.network,
        status=str(attempt.status),
        amount_in_cents=attempt.amount_minor,
        currency=attempt.currency,
        stan=attempt.stan,
        rrn=attempt.rrn,
        transmitted_at=attempt.transmitted_at,
        deadline=attempt.deadline,
        response_code=attempt.response_code,
        approval_code=attempt.approval_code,
        network_trace_id=attempt.network_trace_id,
        created=attempt.created,
    )
