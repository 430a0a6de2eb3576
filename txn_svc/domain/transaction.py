"""A transaction: one movement of money for one payment intent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from chassis.errors import DomainError, Kind
from chassis.ids import CardTokenId, Kid, MerchantId, PaymentIntentId, TransactionId
from txn_svc.domain.attempt import (
    ATTEMPT_TRANSITIONS,
    Attempt,
    AttemptEvent,
    AttemptStatus,
    Message,
    Reversal,
    ReversalReason,
)


class TransactionStatus(StrEnum):
    """Where a transaction stands."""

    PENDING = "pending"  # a message is on its way; the network acts next
    PENDING_VERIFICATION = "pending_verification"  # unknown outcome; reconciliation acts next
    SUCCEEDED = "succeeded"  # the money moved, or is held for a capture; final
    FAILED = "failed"  # nothing was charged; final


# A charge claims its intent within so many seconds of its beginning, by the clock of intent_svc.
# What is left of one is given up later than that, so that no claim can follow; the pause between
# them is for clocks that differ.
CLAIM_WITHIN_S = 45
GIVE_UP_AFTER_S = 60

FINAL = frozenset({TransactionStatus.SUCCEEDED, TransactionStatus.FAILED})

TRANSACTION_TRANSITIONS: dict[tuple[TransactionStatus, AttemptStatus], TransactionStatus] = {
    (TransactionStatus.PENDING, AttemptStatus.SUCCEEDED): TransactionStatus.SUCCEEDED,
    (TransactionStatus.PENDING, AttemptStatus.FAILED): TransactionStatus.FAILED,
    (TransactionStatus.PENDING, AttemptStatus.TIMEOUT): TransactionStatus.PENDING_VERIFICATION,
    (
        TransactionStatus.PENDING_VERIFICATION,
        AttemptStatus.SUCCEEDED,
    ): TransactionStatus.SUCCEEDED,
    (TransactionStatus.PENDING_VERIFICATION, AttemptStatus.FAILED): TransactionStatus.FAILED,
    (TransactionStatus.PENDING_VERIFICATION, AttemptStatus.REVERSED): TransactionStatus.FAILED,
}


class TransactionTypeNotSupported(DomainError):
    """Only charges can be created yet."""

    kind, reason = Kind.INVALID, "TRANSACTION_TYPE_NOT_SUPPORTED"

    def __init__(self, name: str) -> None:
        super().__init__(f"A {name} can't be created; only a charge can.", param="type")


class RawCardNotAllowed(DomainError):
    """Card numbers don't belong on a merchant's server."""

    kind, reason = Kind.INVALID, "RAW_CARD_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__(
            "With a live key a card is charged by a token made in the customer's browser, never by "
            "its number.",
            param="card.number",
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing was charged. decline_code: what the issuer said, where it may be told."""

    code: str
    message: str
    decline_code: str | None = None


NEVER_SENT = Failure("processing_error", "The card could not be processed. Nothing was charged.")
NEVER_RECEIVED = Failure(
    "processing_error", "The card network never got the request. Nothing was charged."
)
UNDONE = Failure(
    "processing_error",
    "The card network gave no answer and was told to undo it. Nothing is charged.",
)
PARTLY_APPROVED = Failure(
    "card_declined",
    "The issuer approved only a part of the amount, and that was undone.",
    "insufficient_funds",
)
OTHERWISE_APPROVED = Failure(
    "processing_error",
    "The card network approved something else than was asked for, and that was undone.",
)
ABANDONED = Failure("abandoned", "The charge was never sent. Nothing was charged.")


@dataclass(frozen=True, slots=True)
class AbandonedClaim:
    """What is left of a transaction that was taken back: it may hold the intent all the same."""

    merchant_id: MerchantId
    transaction_id: TransactionId
    payment_intent_id: PaymentIntentId


@dataclass(frozen=True, slots=True)
class KeptCard:
    """What is kept of a card: brand ("visa", "mastercard"), last four digits, expiry."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class ChargedCard(KeptCard):
    """What is kept of a card that was charged.

    card_bin: the first six digits. fingerprint: base64url of 32 bytes; of one merchant's charges
    under one fingerprint_kid the same fingerprint is the same card.
    """

    card_bin: str
    fingerprint: str
    fingerprint_kid: Kid


@dataclass(frozen=True, slots=True)
class Transaction:
    """One charge.

    amount_minor, currency: None until the intent has told them. amount_approved_minor: what of it
    the issuer approved; None unless it succeeded. amount_captured_minor: what of that moved.
    capture_before: when held funds lapse, Unix seconds; None with automatic capture.
    answered_as: the status that the first answer had; None before it. card_token: the token that
    it used up, if any. created: Unix seconds.
    """

    id: TransactionId
    merchant_id: MerchantId
    mode: str
    payment_intent_id: PaymentIntentId
    card: ChargedCard
    created: int
    status: TransactionStatus = TransactionStatus.PENDING
    amount_minor: int | None = None
    currency: str | None = None
    failure: Failure | None = None
    answered_as: TransactionStatus | None = None
    amount_captured_minor: int = 0
    capture_before: int | None = None
    card_token: CardTokenId | None = None
    amount_approved_minor: int | None = None

    def as_first_answered(self) -> Transaction:
        """Return the transaction as the first answer showed it, whatever became of it since."""
        if self.answered_as is TransactionStatus.PENDING_VERIFICATION:
            return replace(
                self,
                status=self.answered_as,
                failure=None,
                amount_captured_minor=0,
                amount_approved_minor=None,
            )
        if self.capture_before is not None:
            return replace(self, amount_captured_minor=0)
        return self


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exchange came to.

    failure: only with DECLINE. amount_approved_minor: what of the amount asked for the issuer
    approved; always with APPROVE, and where a part is undone. undo: why whatever the network did is
    to be undone, if it is. messages: those that say so.
    """

    event: AttemptEvent
    failure: Failure | None = None
    response_code: str | None = None
    approval_code: str | None = None
    network_trace_id: str | None = None
    undo: ReversalReason | None = None
    messages: tuple[Message, ...] = ()
    amount_approved_minor: int | None = None

    @property
    def is_approval(self) -> bool:
        """Return whether the network has put money aside, all or a part."""
        return self.event is AttemptEvent.APPROVE or self.undo is not None


NO_ANSWER = Outcome(AttemptEvent.NO_ANSWER)


def settle(
    transaction: Transaction, attempt: Attempt, outcome: Outcome
) -> tuple[Transaction, Attempt]:
    """Return both after the outcome. A pair that has no transition is a bug and raises KeyError."""
    status = ATTEMPT_TRANSITIONS[attempt.status, outcome.event]
    settled = replace(
        attempt,
        status=status,
        response_code=outcome.response_code,
        approval_code=outcome.approval_code,
        network_trace_id=outcome.network_trace_id,
        reversal=Reversal(outcome.undo) if outcome.undo is not None else attempt.reversal,
        messages=attempt.messages + outcome.messages,
        version=attempt.version + 1,
        amount_approved_minor=outcome.amount_approved_minor,
    )
    moved = TRANSACTION_TRANSITIONS[transaction.status, status]
    approved_minor = settled.amount_approved_minor if moved is TransactionStatus.SUCCEEDED else None
    is_paid = attempt.capture_before is None
    return (
        replace(
            transaction,
            status=moved,
            failure=outcome.failure,
            answered_as=transaction.answered_as or moved,
            amount_captured_minor=approved_minor or 0 if is_paid else 0,
            capture_before=attempt.capture_before,
            amount_approved_minor=approved_minor,
        ),
        settled,
    )
