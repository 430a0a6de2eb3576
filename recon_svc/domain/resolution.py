"""What to do about an attempt without an answer, by its network's own rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId
from chassis.networks import NetworkRules

GRACE_S = 1.0  # after the deadline: whoever waits for the answer writes it down himself
CHECK_AGAIN_S = 10.0  # where somebody else acts next


class AttemptStatus(StrEnum):
    """Where an attempt stands, as its last event says."""

    RECORDED = "recorded"  # the network acts next; past its deadline it is unanswered
    SUCCEEDED = "succeeded"  # final
    FAILED = "failed"  # final
    TIMEOUT = "timeout"  # no answer; reconciliation acts next
    REVERSED = "reversed"  # final


UNANSWERED = frozenset({AttemptStatus.RECORDED, AttemptStatus.TIMEOUT})


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt as its last event told of it.

    kind: "authorization" or "capture". is_hold: an authorization that needs a capture, so that a
    network presents the capture and not this. amount_minor: asked for, in minor units of
    `currency`. amount_approved_minor: what of it the issuer approved; None without an approval.
    accepts_part: whether an approval of less is taken. stan, rrn, transmitted_at: ISO 8583:1987
    DE11, DE37, DE7. reversal: "pending", "overdue",
    "acknowledged" or None. deadline, created: Unix seconds. inquiries: how often the network was
    asked about it. overdue_since: since when a capture waits longer than the network's own
    time, Unix seconds.
    """

    id: AttemptId
    merchant_id: MerchantId
    mode: str
    payment_intent_id: PaymentIntentId
    transaction_id: TransactionId
    network: str
    status: AttemptStatus
    amount_minor: int
    currency: str
    stan: str
    rrn: str
    transmitted_at: str
    deadline: int
    created: int
    version: int
    reversal: str | None = None
    response_code: str | None = None
    approval_code: str | None = None
    network_trace_id: str | None = None
    inquiries: int = 0
    kind: str = "authorization"
    is_hold: bool = False
    overdue_since: int | None = None
    accepts_part: bool = False
    amount_approved_minor: int | None = None


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt without an outcome that the network presents: it approved it after all."""

    merchant_id: MerchantId
    attempt_id: AttemptId
    amount_minor: int
    approval_code: str
    network_trace_id: str


class Action(StrEnum):
    """What reconciliation does about an attempt."""

    INQUIRE = "inquire"
    REVERSE = "reverse"


class Said(StrEnum):
    """What a network said when it was asked."""

    APPROVED = "approved"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    NO_ANSWER = "no_answer"


def resolve_after(attempt: Attempt) -> float | None:
    """Return when to do something about an attempt, Unix seconds; None when nothing is to be done.

    A reversal on its way is txn_svc's to finish, and so is a capture.
    """
    if attempt.kind == "capture":
        return None
    if attempt.status not in UNANSWERED or attempt.reversal is not None:
        return None
    if attempt.status is AttemptStatus.RECORDED:
        return attempt.deadline + GRACE_S
    return 0.0


def becomes_certain(event_type: str, status: str) -> bool:
    """Return whether an event is the end of an attempt that was without an answer.

    What had failed before it was undone, as a partial approval has, was certain all the time.
    """
    if event_type == "attempt.reversed":
        return status == AttemptStatus.REVERSED
    return event_type == "attempt.resolved"


def next_action(attempt: Attempt, rules: NetworkRules) -> Action:
    """Return what to do: ask as long as the network's rule says, then have it undone."""
    if rules.inquiry is not None and attempt.inquiries <= len(rules.inquiry.backoff_s):
        return Action.INQUIRE
    return Action.REVERSE


def ask_again_after_s(attempt: Attempt, rules: NetworkRules, said: Said, now: float) -> float:
    """Return the pause after an inquiry that said nothing certain.

    "Not found" is asked about again no later than when it will be the last word.
    """
    if rules.inquiry is None:
        return 0.0
    pauses = rules.inquiry.backoff_s
    pause_s = pauses[min(attempt.inquiries, len(pauses) - 1)]
    if said is Said.NOT_FOUND:
        return min(pause_s, _not_found_counts_from(attempt, rules) - now)
    return pause_s


def is_failed_when_not_found(attempt: Attempt, rules: NetworkRules, now: float) -> bool:
    """Return whether "not found" is the last word by now, or the request may still arrive."""
    return now >= _not_found_counts_from(attempt, rules)


def _not_found_counts_from(attempt: Attempt, rules: NetworkRules) -> float:
    window_s = rules.inquiry.not_found_is_failed_after_s if rules.inquiry is not None else 0.0
    return attempt.deadline + window_s
