"""How long a card's number is needed: until no message about its charge can follow. No I/O."""

from __future__ import annotations

from txn_svc.domain.attempt import Attempt, AttemptKind, AttemptStatus, ReversalStatus
from txn_svc.domain.transaction import Transaction

LATE_APPROVAL_S = 300
"""How long after its deadline an attempt that failed without a word of its network may still be
approved, and then has to be undone."""


def is_card_over(transaction: Transaction, attempt: Attempt) -> bool:
    """Return whether no message about the charge of this attempt can need the card any more.

    What the network never answered may yet be approved, which ends LATE_APPROVAL_S later: the sweep
    of the store sees to that. Its statement says the same as this.
    """
    if attempt.kind is AttemptKind.CAPTURE:
        return attempt.status is AttemptStatus.SUCCEEDED
    if attempt.reversal is not None:
        return attempt.reversal.status is ReversalStatus.ACKNOWLEDGED
    if attempt.status is AttemptStatus.FAILED:
        return attempt.response_code is not None
    is_held = attempt.capture_before is not None and not transaction.amount_captured_minor
    return attempt.status is AttemptStatus.SUCCEEDED and not is_held
