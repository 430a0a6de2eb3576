"""What becomes of an exchange whose answer is late, missing or contradicts another. No I/O.

Every function returns the transaction and the attempt as they shall be. They are written only if
the attempt still has the version that was decided on, so whichever of two facts is written first
wins, and the other is decided on what the first one left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chassis.errors import DomainError, Kind
from chassis.networks import ReversalRule
from txn_svc.domain.attempt import (
    Attempt,
    AttemptEvent,
    AttemptKind,
    AttemptStatus,
    Message,
    Reversal,
    ReversalReason,
    ReversalStatus,
)
from txn_svc.domain.transaction import NO_ANSWER, UNDONE, Outcome, Transaction, settle

OPEN = frozenset({AttemptStatus.RECORDED, AttemptStatus.TIMEOUT})

Exchange = tuple[Transaction, Attempt]
Decide = Callable[[Transaction, Attempt], Exchange]


class AttemptInUnexpectedState(DomainError):
    """The attempt's state does not allow this."""

    kind, reason = Kind.WRONG_STATE, "ATTEMPT_UNEXPECTED_STATE"

    def __init__(self, attempt: Attempt, wish: str) -> None:
        state = attempt.status if attempt.reversal is None else f"{attempt.status}, being reversed"
        super().__init__(f"Attempt {attempt.id} is {state}, so it can't be {wish}.")


def note(attempt: Attempt, *messages: Message) -> Attempt:
    """Keep messages that change nothing."""
    return replace(attempt, messages=attempt.messages + messages, version=attempt.version + 1)


def expire(transaction: Transaction, attempt: Attempt, now: float, wish: str) -> Exchange:
    """Take an attempt past its deadline for unanswered, whoever was to wait for the answer.

    Raises AttemptInUnexpectedState while the deadline is not over, and for a capture: that is sent
    until it is acknowledged, and nothing else is done about it.
    """
    if attempt.kind is AttemptKind.CAPTURE:
        raise AttemptInUnexpectedState(attempt, wish)
    if attempt.status is not AttemptStatus.RECORDED:
        return transaction, attempt
    if now <= attempt.deadline:
        raise AttemptInUnexpectedState(attempt, wish)
    return settle(transaction, attempt, NO_ANSWER)


def take_late_answer(transaction: Transaction, attempt: Attempt, outcome: Outcome) -> Exchange:
    """Take an answer that nobody waits for any more.

    It settles what is still open. Once a reversal is on its way the reversal has the last word.
    What was told to be failed stays failed: an approval of it is undone. All else is evidence.
    """
    is_certain = outcome.event is not AttemptEvent.NO_ANSWER
    if attempt.status in OPEN and attempt.reversal is None and is_certain:
        return settle(transaction, attempt, outcome)
    noted = note(attempt, *outcome.messages)
    if attempt.status is AttemptStatus.FAILED and attempt.reversal is None and outcome.is_approval:
        noted = replace(
            noted,
            reversal=Reversal(ReversalReason.RESPONSE_TOO_LATE),
            amount_approved_minor=outcome.amount_approved_minor,
        )
    return transaction, noted


def resolve(transaction: Transaction, attempt: Attempt, outcome: Outcome) -> Exchange:
    """Settle an unanswered attempt by what the network has said since; again is harmless.

    Raises AttemptInUnexpectedState when it is being reversed or came to something else.
    """
    if attempt.status is AttemptStatus.TIMEOUT and attempt.reversal is None:
        return settle(transaction, attempt, outcome)
    settled = {
        AttemptEvent.APPROVE: AttemptStatus.SUCCEEDED,
        AttemptEvent.DECLINE: AttemptStatus.FAILED,
    }
    if attempt.status is settled.get(outcome.event):
        return transaction, attempt
    raise AttemptInUnexpectedState(attempt, "resolved")


def begin_reversal(attempt: Attempt, reason: ReversalReason) -> Attempt:
    """Let an unanswered attempt be undone; again is harmless.

    Raises AttemptInUnexpectedState when it came to something.
    """
    if attempt.reversal is not None:
        return attempt
    if attempt.status is not AttemptStatus.TIMEOUT:
        raise AttemptInUnexpectedState(attempt, "reversed")
    return replace(attempt, reversal=Reversal(reason), version=attempt.version + 1)


def address_reversal(attempt: Attempt, stan: str, transmitted_at: str, terminal_id: str) -> Attempt:
    """Fix what names the advice, which is the same in every repeat."""
    reversal = _reversal(attempt)
    named = replace(reversal, stan=stan, transmitted_at=transmitted_at, terminal_id=terminal_id)
    return replace(attempt, reversal=named, version=attempt.version + 1)


def retry_reversal(attempt: Attempt, rule: ReversalRule, now: float, *messages: Message) -> Attempt:
    """Let the advice be repeated after the network's pause; past its schedule it is overdue.

    One that was acknowledged meanwhile, by an answer that came too late for its own try, stays so.
    """
    reversal = _reversal(attempt)
    if reversal.status is ReversalStatus.ACKNOWLEDGED:
        return note(attempt, *messages)
    tries = reversal.tries + 1
    later = replace(
        reversal,
        tries=tries,
        due=now + rule.pause_s(tries),
        status=ReversalStatus.OVERDUE if rule.is_overdue(tries) else ReversalStatus.PENDING,
    )
    return replace(note(attempt, *messages), reversal=later)


def acknowledge_reversal(
    transaction: Transaction, attempt: Attempt, *messages: Message
) -> Exchange:
    """Take the network's word that the exchange is undone; again is only evidence."""
    reversal = _reversal(attempt)
    if reversal.status is ReversalStatus.ACKNOWLEDGED:
        return transaction, note(attempt, *messages)
    done = replace(attempt, reversal=replace(reversal, status=ReversalStatus.ACKNOWLEDGED))
    if attempt.status is AttemptStatus.TIMEOUT:
        undone = Outcome(
            AttemptEvent.REVERSE,
            UNDONE,
            attempt.response_code,
            attempt.approval_code,
            attempt.network_trace_id,
            messages=messages,
            amount_approved_minor=attempt.amount_approved_minor,
        )
        return settle(transaction, done, undone)
    return transaction, note(done, *messages)


def is_undone(attempt: Attempt) -> bool:
    """Return whether the network has acknowledged that the exchange is undone."""
    return attempt.reversal is not None and attempt.reversal.status is ReversalStatus.ACKNOWLEDGED


def _reversal(attempt: Attempt) -> Reversal:
    if attempt.reversal is None:
        raise AttemptInUnexpectedState(attempt, "treated as being reversed")
    return attempt.reversal
