"""An attempt: one message exchange with a card network, and what it may become."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId


class AttemptStatus(StrEnum):
    """Where an exchange stands."""

    RECORDED = "recorded"  # written down before any byte leaves; the network acts next
    SUCCEEDED = "succeeded"  # the network approved; final
    FAILED = "failed"  # the network declined, or nothing ever left; final
    TIMEOUT = "timeout"  # no answer in time: unknown; reconciliation acts next
    REVERSED = "reversed"  # the network undid whatever it had approved; final


class AttemptEvent(StrEnum):
    """What can happen to an attempt."""

    APPROVE = "approve"
    DECLINE = "decline"
    NO_ANSWER = "no_answer"
    REVERSE = "reverse"


ATTEMPT_TRANSITIONS: dict[tuple[AttemptStatus, AttemptEvent], AttemptStatus] = {
    (AttemptStatus.RECORDED, AttemptEvent.APPROVE): AttemptStatus.SUCCEEDED,
    (AttemptStatus.RECORDED, AttemptEvent.DECLINE): AttemptStatus.FAILED,
    (AttemptStatus.RECORDED, AttemptEvent.NO_ANSWER): AttemptStatus.TIMEOUT,
    (AttemptStatus.TIMEOUT, AttemptEvent.APPROVE): AttemptStatus.SUCCEEDED,
    (AttemptStatus.TIMEOUT, AttemptEvent.DECLINE): AttemptStatus.FAILED,
    (AttemptStatus.TIMEOUT, AttemptEvent.REVERSE): AttemptStatus.REVERSED,
}

CAME_FROM: dict[AttemptStatus, list[AttemptStatus]] = {
    status: [was for (was, _), then in ATTEMPT_TRANSITIONS.items() if then is status]
    for status in AttemptStatus
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange, without card data.

    amount_minor: in minor units of `currency`. stan, rrn, transmitted_at: ISO 8583:1987 DE11, DE37
    and DE7 as sent. deadline, created: Unix seconds. version: counts changes from 1.
    """

    id: AttemptId
    merchant_id: MerchantId
    transaction_id: TransactionId
    payment_intent_id: PaymentIntentId
    network: str
    amount_minor: int
    currency: str
    stan: str
    rrn: str
    transmitted_at: str
    deadline: int
    created: int
    status: AttemptStatus = AttemptStatus.RECORDED
    response_code: str | None = None
    approval_code: str | None = None
    network_trace_id: str | None = None
    version: int = 1
