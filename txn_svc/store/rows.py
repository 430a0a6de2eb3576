"""Transactions and attempts as rows: what statements take as items, and what they return."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chassis import spans
from txn_svc.cards.envelope import Envelope
from txn_svc.domain.attempt import (
    CAME_FROM,
    Attempt,
    AttemptKind,
    AttemptStatus,
    Message,
    Reversal,
    ReversalReason,
    ReversalStatus,
)
from txn_svc.domain.card_need import is_card_over
from txn_svc.domain.transaction import ChargedCard, Failure, Transaction, TransactionStatus

Item = dict[str, object]


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction and its new attempt as they are to be written, and the span that wants it.

    envelope: of an authorization, its card's number for later messages.
    """

    transaction: Transaction
    attempt: Attempt
    envelope: Envelope | None = None
    traceparent: str | None = field(default_factory=spans.traceparent)


@dataclass(frozen=True, slots=True)
class Move:
    """An attempt as it was decided on, it and its transaction as they shall be, and the span."""

    was: Attempt
    transaction: Transaction
    attempt: Attempt
    traceparent: str | None = field(default_factory=spans.traceparent)


def attempt_item(attempt: Attempt) -> Item:
    """Return a new attempt as an item of RECORD or RECORD_CAPTURE, without its event."""
    return {
        "merchant_id": attempt.merchant_id,
        "id": attempt.id,
        "transaction_id": attempt.transaction_id,
        "payment_intent_id": attempt.payment_intent_id,
        "network": attempt.network,
        "amount_minor": attempt.amount_minor,
        "currency": attempt.currency,
        "stan": attempt.stan,
        "rrn": attempt.rrn,
        "transmitted_at": attempt.transmitted_at,
        "terminal_id": attempt.terminal_id,
        "deadline": attempt.deadline,
        "created": attempt.created,
        "capture_before": attempt.capture_before,
        "advice_due": attempt.advice_due,
        "capture_number": attempt.capture_number,
        "accepts_part": attempt.accepts_part,
    }


def envelope_item(envelope: Envelope | None) -> Item:
    """Return an envelope as the part of an item of RECORD that it is."""
    if envelope is None:
        return {}
    return {
        "kid": envelope.wrapped.kid,
        "wrapped_key": envelope.wrapped.data,
        "sealed": envelope.sealed,
    }


def move_item(transaction: Transaction, attempt: Attempt) -> Item:
    """Return a changed pair as an item of MOVE, without its event."""
    failure = transaction.failure or Failure("", "")
    return {
        "merchant_id": attempt.merchant_id,
        "id": attempt.id,
        "transaction_id": attempt.transaction_id,
        "payment_intent_id": attempt.payment_intent_id,
        "attempt_status": attempt.status,
        "attempt_approved_minor": attempt.amount_approved_minor,
        "came_from": [*CAME_FROM[attempt.status], attempt.status],
        "response_code": attempt.response_code,
        "approval_code": attempt.approval_code,
        "network_trace_id": attempt.network_trace_id,
        "messages": [_message_item(message) for message in attempt.messages],
        "version": attempt.version,
        "advice_due": attempt.advice_due,
        "advice_tries": attempt.advice_tries,
        "overdue_since": attempt.overdue_since,
        **_reversal_item(attempt.reversal),
        "amount_minor": transaction.amount_minor,
        "amount_approved_minor": transaction.amount_approved_minor,
        "amount_captured_minor": transaction.amount_captured_minor,
        "capture_before": transaction.capture_before,
        "currency": transaction.currency,
        "status": transaction.status,
        "answered_as": transaction.answered_as,
        "failure_code": failure.code or None,
        "failure_decline_code": failure.decline_code,
        "failure_message": failure.message or None,
        "is_card_over": is_card_over(transaction, attempt),
    }


def transaction_of(row: Any) -> Transaction:
    """Return the transaction of a row; what it does not say yet, its attempt says."""
    failure = None
    if row["failure_code"] is not None:
        failure = Failure(row["failure_code"], row["failure_message"], row["failure_decline_code"])
    attempt = row["attempt"] or {}
    answered_as = row["answered_as"]
    return Transaction(
        id=row["id"],
        merchant_id=row["merchant_id"],
        mode=row["mode"],
        payment_intent_id=row["payment_intent_id"],
        card=ChargedCard(
            brand=row["card_brand"],
            last4=row["card_last4"],
            exp_month=row["card_exp_month"],
            exp_year=row["card_exp_year"],
            card_bin=row["card_bin"],
            fingerprint=row["card_fingerprint"],
            fingerprint_kid=row["card_fingerprint_kid"],
        ),
        created=int(row["created"].timestamp()),
        status=TransactionStatus(row["status"]),
        amount_minor=row["amount_minor"] or attempt.get("amount_minor"),
        currency=row["currency"] or attempt.get("currency"),
        failure=failure,
        answered_as=TransactionStatus(answered_as) if answered_as is not None else None,
        amount_captured_minor=row["amount_captured_minor"],
        capture_before=_moment(row["capture_before"]) or _second(attempt.get("capture_before")),
        card_token=row["card_token"],
        amount_approved_minor=row["amount_approved_minor"],
    )


def attempt_of(row: Any, name: str = "attempt") -> Attempt | None:
    """Return an attempt of a row, which has it as JSON by that name, or None without one."""
    found = row[name]
    return attempt_of_json(found) if found is not None else None


def captures_of(row: Any) -> tuple[Attempt, ...]:
    """Return the captures of a row, which has them in order as JSON."""
    return tuple(attempt_of_json(found) for found in row["captures"])


def attempt_of_json(found: dict[str, Any]) -> Attempt:
    """Return the attempt of a row that is JSON."""
    return Attempt(
        id=found["id"],
        merchant_id=found["merchant_id"],
        transaction_id=found["transaction_id"],
        payment_intent_id=found["payment_intent_id"],
        network=found["network"],
        amount_minor=found["amount_minor"],
        currency=found["currency"],
        stan=found["stan"],
        rrn=found["rrn"],
        transmitted_at=found["transmitted_at"],
        terminal_id=found["terminal_id"],
        deadline=int(_seconds(found["deadline"])),
        created=int(_seconds(found["created"])),
        status=AttemptStatus(found["status"]),
        response_code=found["response_code"],
        approval_code=found["approval_code"],
        network_trace_id=found["network_trace_id"],
        reversal=_reversal_of(found),
        messages=tuple(
            Message(said["mti"], said["is_sent"], said["at"], said.get("response_code"))
            for said in found["messages"]
        ),
        version=found["version"],
        kind=AttemptKind(found["kind"]),
        capture_before=_second(found["capture_before"]),
        advice_due=_seconds(found["advice_due"]) if found["advice_due"] is not None else None,
        advice_tries=found["advice_tries"],
        overdue_since=_second(found["overdue_since"]),
        capture_number=found["capture_number"],
        accepts_part=found["accepts_part"],
        amount_approved_minor=found["amount_approved_minor"],
    )


def _message_item(message: Message) -> Item:
    item: Item = {"mti": message.mti, "is_sent": message.is_sent, "at": message.at}
    if message.response_code is not None:
        item["response_code"] = message.response_code
    return item


def _reversal_item(reversal: Reversal | None) -> Item:
    if reversal is None:
        return {"reversal_tries": 0}
    return {
        "reversal": reversal.status,
        "reversal_reason": reversal.reason,
        "reversal_due": reversal.due,
        "reversal_tries": reversal.tries,
        "reversal_stan": reversal.stan,
        "reversal_transmitted_at": reversal.transmitted_at,
        "reversal_terminal_id": reversal.terminal_id,
    }


def _reversal_of(found: dict[str, Any]) -> Reversal | None:
    if found["reversal"] is None:
        return None
    return Reversal(
        reason=ReversalReason(found["reversal_reason"]),
        due=_seconds(found["reversal_due"]),
        status=ReversalStatus(found["reversal"]),
        tries=found["reversal_tries"],
        stan=found["reversal_stan"],
        transmitted_at=found["reversal_transmitted_at"],
        terminal_id=found["reversal_terminal_id"],
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _second(moment: str | None) -> int | None:
    return int(_seconds(moment)) if moment is not None else None


def _moment(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment is not None else None
