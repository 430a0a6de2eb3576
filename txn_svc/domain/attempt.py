"""An attempt: one exchange with a card network, and what it may become."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId


class AttemptKind(StrEnum):
    """What an exchange is about."""

    AUTHORIZATION = "authorization"  # whether the issuer approves
    CAPTURE = "capture"  # held funds are claimed: an advice, sent until it is answered


class AttemptStatus(StrEnum):
    """Where an exchange stands."""

    RECORDED = "recorded"  # written down before any byte leaves; the network acts next
    SUCCEEDED = "succeeded"  # the network approved; final
    FAILED = "failed"  # the network declined, or nothing ever left; final
    TIMEOUT = (
        "timeout"  # no answer in time: unknown; reconciliation acts next, or txn_svc: a capture
    )
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

CAPTURE_TRANSITIONS: dict[tuple[AttemptStatus, AttemptEvent], AttemptStatus] = {
    (AttemptStatus.RECORDED, AttemptEvent.APPROVE): AttemptStatus.SUCCEEDED,
    (AttemptStatus.RECORDED, AttemptEvent.DECLINE): AttemptStatus.FAILED,
    (AttemptStatus.RECORDED, AttemptEvent.NO_ANSWER): AttemptStatus.TIMEOUT,
    (AttemptStatus.TIMEOUT, AttemptEvent.NO_ANSWER): AttemptStatus.TIMEOUT,
    (AttemptStatus.TIMEOUT, AttemptEvent.APPROVE): AttemptStatus.SUCCEEDED,
    (AttemptStatus.TIMEOUT, AttemptEvent.DECLINE): AttemptStatus.FAILED,
}

CAME_FROM: dict[AttemptStatus, list[AttemptStatus]] = {
    status: [was for (was, _), then in ATTEMPT_TRANSITIONS.items() if then is status]
    for status in AttemptStatus
}


class ReversalStatus(StrEnum):
    """Whether the network was told to undo an exchange."""

    PENDING = "pending"  # an advice is sent until it is acknowledged; txn_svc acts next
    OVERDUE = "overdue"  # not acknowledged in time; it is sent on, and a person looks at it
    ACKNOWLEDGED = "acknowledged"  # whatever was approved is undone; final


class ReversalReason(StrEnum):
    """Why an exchange is undone; the values are ISO 8583:2003's reversal reasons."""

    CUSTOMER_CANCELLATION = "4000"
    RESPONSE_TOO_LATE = "4006"
    INVALID_RESPONSE = "4020"
    RESPONSE_TIMEOUT = "4021"
    AUTHORIZATION_EXPIRED = "4351"


@dataclass(frozen=True, slots=True)
class Message:
    """One message over the wire. at: Unix seconds. response_code: ISO 8583 DE39 of an answer."""

    mti: str
    is_sent: bool
    at: int
    response_code: str | None = None


@dataclass(frozen=True, slots=True)
class Reversal:
    """The undoing of an exchange.

    due: when it is sent next, Unix seconds; 0 is at once. stan, transmitted_at, terminal_id: DE11,
    DE7 and DE41 of the advice, the same in every repeat; None before the first.
    """

    reason: ReversalReason
    due: float = 0.0
    status: ReversalStatus = ReversalStatus.PENDING
    tries: int = 0
    stan: str | None = None
    transmitted_at: str | None = None
    terminal_id: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange, without card data.

    amount_minor: in minor units of `currency`. stan, rrn, transmitted_at, terminal_id: DE11, DE37,
    DE7 and DE41 (ISO 8583:1987) as sent. deadline, created: Unix seconds. messages: oldest first.
    version: counts changes from 1. capture_before: when an authorization that only holds the funds
    lapses, Unix seconds. advice_due, advice_tries: when a capture that is not acknowledged is sent
    next, Unix seconds, and how often it was sent in vain. overdue_since: since when that takes
    longer than the network's own time, Unix seconds. capture_number: which capture of its
    transaction it is, from 1; 0 for an authorization. accepts_part: whether an approval of less
    than was asked for is taken, as the intent said. amount_approved_minor: what of it the issuer
    approved, also where that is undone; None without an approval, and for a capture.
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
    terminal_id: str
    deadline: int
    created: int
    status: AttemptStatus = AttemptStatus.RECORDED
    response_code: str | None = None
    approval_code: str | None = None
    network_trace_id: str | None = None
    reversal: Reversal | None = None
    messages: tuple[Message, ...] = ()
    version: int = 1
    kind: AttemptKind = AttemptKind.AUTHORIZATION
    capture_before: int | None = None
    advice_due: float | None = None
    advice_tries: int = 0
    overdue_since: int | None = None
    capture_number: int = 0
    accepts_part: bool = False
    amount_approved_minor: int | None = None

    @property
    def is_refused_capture(self) -> bool:
        """Return whether the network refused to let held funds be claimed."""
        return self.kind is AttemptKind.CAPTURE and self.status is AttemptStatus.FAILED


def event_type(was: Attempt | None, attempt: Attempt) -> str | None:
    """Return the type of the event that tells of a change; None when it is of no concern."""
    if was is None:
        return "attempt.recorded"
    undoing, was_undoing = _reversal_status(attempt), _reversal_status(was)
    stands, stood = (attempt.status, undoing), (was.status, was_undoing)
    if undoing is ReversalStatus.ACKNOWLEDGED and undoing is not was_undoing:
        return "attempt.reversed"
    if was.status is AttemptStatus.TIMEOUT and attempt.status is not was.status:
        return "attempt.resolved"
    if (*stands, attempt.overdue_since) != (*stood, was.overdue_since):
        return f"attempt.{attempt.status}"
    return None


def _reversal_status(attempt: Attempt) -> ReversalStatus | None:
    return attempt.reversal.status if attempt.reversal is not None else None
