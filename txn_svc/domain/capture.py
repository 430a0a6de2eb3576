"""What becomes of funds that an issuer holds: captured, all or a part, or released. No I/O."""

from __future__ import annotations

from dataclasses import replace

from chassis.networks import ReversalRule
from txn_svc.domain.attempt import (
    CAPTURE_TRANSITIONS,
    Attempt,
    AttemptEvent,
    AttemptStatus,
    Message,
    Reversal,
    ReversalReason,
)
from txn_svc.domain.resolution import AttemptInUnexpectedState
from txn_svc.domain.transaction import Transaction


def check_held(authorization: Attempt, wish: str) -> None:
    """Raise AttemptInUnexpectedState unless the issuer holds the funds."""
    is_held = (
        authorization.status is AttemptStatus.SUCCEEDED
        and authorization.capture_before is not None
        and authorization.reversal is None
    )
    if not is_held:
        raise AttemptInUnexpectedState(authorization, wish)


def check_capture(authorization: Attempt, amount_minor: int) -> None:
    """Raise AttemptInUnexpectedState unless so much is held."""
    check_held(authorization, "captured")
    if not 1 <= amount_minor <= authorization.amount_minor:
        raise AttemptInUnexpectedState(authorization, f"captured for {amount_minor}")


def begin_void(authorization: Attempt, capture: Attempt | None) -> Attempt:
    """Let held funds be released; again is harmless. Raises AttemptInUnexpectedState."""
    if authorization.reversal is not None:
        return authorization
    check_held(authorization, "released")
    if capture is not None:
        raise AttemptInUnexpectedState(capture, "released")
    return replace(
        authorization,
        reversal=Reversal(ReversalReason.CUSTOMER_CANCELLATION),
        version=authorization.version + 1,
    )


def acknowledge(
    transaction: Transaction, capture: Attempt, *messages: Message
) -> tuple[Transaction, Attempt]:
    """Take the network's word that the funds are claimed; again is only evidence."""
    noted = replace(capture, messages=capture.messages + messages, version=capture.version + 1)
    if capture.status is AttemptStatus.SUCCEEDED:
        return transaction, noted
    status = CAPTURE_TRANSITIONS[capture.status, AttemptEvent.APPROVE]
    return (
        replace(transaction, amount_captured_minor=capture.amount_minor),
        replace(noted, status=status, response_code=messages[-1].response_code, advice_due=None),
    )


def repeat(capture: Attempt, rule: ReversalRule, now: float, *messages: Message) -> Attempt:
    """Let an advice that was not acknowledged be sent again, after the network's pause."""
    noted = replace(capture, messages=capture.messages + messages, version=capture.version + 1)
    if capture.status is AttemptStatus.SUCCEEDED:
        return noted
    tries = capture.advice_tries + 1
    return replace(
        noted,
        status=CAPTURE_TRANSITIONS[capture.status, AttemptEvent.NO_ANSWER],
        advice_due=now + rule.pause_s(tries),
        advice_tries=tries,
    )
