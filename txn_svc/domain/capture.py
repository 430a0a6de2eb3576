"""What becomes of funds that an issuer holds: captured, all or a part, or released. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
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
from txn_svc.domain.resolution import AttemptInUnexpectedState, note
from txn_svc.domain.transaction import Transaction

SETTLED = frozenset({AttemptStatus.SUCCEEDED, AttemptStatus.FAILED})


def check_held(authorization: Attempt, wish: str) -> None:
    """Raise AttemptInUnexpectedState unless the issuer holds the funds."""
    is_held = (
        authorization.status is AttemptStatus.SUCCEEDED
        and authorization.capture_before is not None
        and authorization.reversal is None
    )
    if not is_held:
        raise AttemptInUnexpectedState(authorization, wish)


def check_capture(
    authorization: Attempt, captures: Sequence[Attempt], number: int, amount_minor: int
) -> None:
    """Raise AttemptInUnexpectedState unless this is the next capture, of what was approved at most.

    captures: those before, in order; of all of them it has to be certain that nothing was claimed.
    """
    check_held(authorization, "captured")
    for capture in captures:
        if not capture.is_refused_capture:
            raise AttemptInUnexpectedState(capture, "followed by another capture")
    if number != len(captures) + 1:
        raise AttemptInUnexpectedState(authorization, f"captured by capture {number}")
    if not 1 <= amount_minor <= (authorization.amount_approved_minor or 0):
        raise AttemptInUnexpectedState(authorization, f"captured for {amount_minor}")


def begin_void(authorization: Attempt, captures: Sequence[Attempt], now: float) -> Attempt:
    """Let held funds be released; again is harmless. Raises AttemptInUnexpectedState.

    From the moment on at which they lapse it is that which the network is told, whoever asks.
    """
    if authorization.reversal is not None:
        return authorization
    check_held(authorization, "released")
    for capture in captures:
        if not capture.is_refused_capture:
            raise AttemptInUnexpectedState(capture, "released")
    is_over = authorization.capture_before is not None and now >= authorization.capture_before
    reason = (
        ReversalReason.AUTHORIZATION_EXPIRED if is_over else ReversalReason.CUSTOMER_CANCELLATION
    )
    return replace(
        authorization,
        reversal=Reversal(reason),
        version=authorization.version + 1,
    )


def acknowledge(
    transaction: Transaction, capture: Attempt, *messages: Message
) -> tuple[Transaction, Attempt]:
    """Take the network's word that the funds are claimed; again, or once refused, is evidence."""
    if capture.status in SETTLED:
        return transaction, note(capture, *messages)
    claimed = replace(transaction, amount_captured_minor=capture.amount_minor)
    return claimed, _settled(capture, AttemptEvent.APPROVE, messages)


def refuse(capture: Attempt, *messages: Message) -> Attempt:
    """Take the network's word that it does not let the funds be claimed.

    Again, or after it has acknowledged, is only evidence.
    """
    if capture.status in SETTLED:
        return note(capture, *messages)
    return _settled(capture, AttemptEvent.DECLINE, messages)


def repeat(capture: Attempt, rule: ReversalRule, now: float, *messages: Message) -> Attempt:
    """Let an advice that was not acknowledged be sent again, after the network's pause.

    Past the network's schedule it is overdue, and sent on.
    """
    noted = note(capture, *messages)
    if capture.status in SETTLED:
        return noted
    tries = capture.advice_tries + 1
    is_late = rule.is_overdue(tries) and capture.overdue_since is None
    return replace(
        noted,
        status=CAPTURE_TRANSITIONS[capture.status, AttemptEvent.NO_ANSWER],
        advice_due=now + rule.pause_s(tries),
        advice_tries=tries,
        overdue_since=int(now) if is_late else capture.overdue_since,
    )


def _settled(capture: Attempt, event: AttemptEvent, messages: tuple[Message, ...]) -> Attempt:
    return replace(
        note(capture, *messages),
        status=CAPTURE_TRANSITIONS[capture.status, event],
        response_code=messages[-1].response_code,
        advice_due=None,
        overdue_since=None,
    )
