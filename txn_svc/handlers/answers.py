"""What a card network's answer comes to."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.money import CURRENCIES
from txn_svc.domain import decline
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptKind, Message, ReversalReason
from txn_svc.domain.capture import acknowledge, refuse
from txn_svc.domain.resolution import Decide, Exchange
from txn_svc.domain.transaction import OTHERWISE_APPROVED, PARTLY_APPROVED, Failure, Outcome
from txn_svc.networks.connection import Elements
from txn_svc.networks.messages import AuthorizationResponse

PARTIAL_APPROVAL = "10"
CAPTURE_ACKNOWLEDGED = "00"


def judge(response: AuthorizationResponse, attempt: Attempt, *messages: Message) -> Outcome:
    """Return what an answer to an authorization comes to; whatever is not certain is no answer.

    The amount approved is that of the answer (DE4). Less than was asked for is taken if the intent
    accepts a part. Where it does not, or the approval is of more or in another currency, nothing is
    charged and the approval is undone.
    """
    approved_minor = _approved_minor(response, attempt)
    event, failure, undo = _verdict(response, attempt, approved_minor)
    return Outcome(
        event,
        failure,
        response.response_code,
        response.approval_code,
        response.network_trace_id,
        undo,
        messages,
        approved_minor,
    )


def judge_capture(code: str) -> AttemptEvent:
    """Return what the answer to a capture comes to; whatever is not certain is no answer."""
    if code == CAPTURE_ACKNOWLEDGED:
        return AttemptEvent.APPROVE
    return AttemptEvent.NO_ANSWER if decline.decline(code) is None else AttemptEvent.DECLINE


def answered_by(
    elements: Elements, kind: AttemptKind, exchanges: Sequence[Exchange]
) -> Attempt | None:
    """Return the attempt of an RRN that a reply is about.

    All captures of an authorization have its RRN; each has a STAN of its own.
    """
    for _, attempt in exchanges:
        is_it = kind is AttemptKind.AUTHORIZATION or attempt.stan == elements.get("11")
        if attempt.kind is kind and is_it:
            return attempt
    return None


def answered(code: str, *messages: Message) -> Decide:
    """Take the answer to a capture, which acknowledges or refuses it."""
    if judge_capture(code) is AttemptEvent.APPROVE:
        return lambda transaction, capture: acknowledge(transaction, capture, *messages)
    return lambda transaction, capture: (transaction, refuse(capture, *messages))


def _verdict(
    response: AuthorizationResponse, attempt: Attempt, approved_minor: int | None
) -> tuple[AttemptEvent, Failure | None, ReversalReason | None]:
    failure = decline.decline(response.response_code)
    if failure is not None:
        return AttemptEvent.DECLINE, failure, None
    is_whole = approved_minor == attempt.amount_minor
    if is_whole or (approved_minor is not None and attempt.accepts_part):
        return AttemptEvent.APPROVE, None, None
    if approved_minor is not None:
        return AttemptEvent.DECLINE, PARTLY_APPROVED, ReversalReason.INVALID_RESPONSE
    if _is_of_something_else(response, attempt):
        return AttemptEvent.DECLINE, OTHERWISE_APPROVED, ReversalReason.INVALID_RESPONSE
    return AttemptEvent.NO_ANSWER, None, None


def _approved_minor(response: AuthorizationResponse, attempt: Attempt) -> int | None:
    """Return what of the amount asked for an answer approves; None where it approves no such."""
    if not _is_of_something_else(response, attempt):
        is_whole = decline.is_approved(response.response_code)
        return attempt.amount_minor if is_whole else None
    is_part = 0 < (response.amount_minor or 0) < attempt.amount_minor
    return response.amount_minor if is_part and _is_our_currency(response, attempt) else None


def _is_of_something_else(response: AuthorizationResponse, attempt: Attempt) -> bool:
    """Return whether an answer approves something, and not what was asked for."""
    code = response.response_code
    is_approval = decline.is_approved(code) or code == PARTIAL_APPROVAL
    is_as_asked = response.amount_minor in {None, attempt.amount_minor}
    return is_approval and not (is_as_asked and _is_our_currency(response, attempt))


def _is_our_currency(response: AuthorizationResponse, attempt: Attempt) -> bool:
    return response.currency_number in {None, CURRENCIES[attempt.currency].numeric}
