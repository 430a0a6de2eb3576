"""A payment intent: its states, and who may move it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from chassis.errors import DomainError, Kind, ParameterInvalid
from chassis.ids import MerchantId, PaymentIntentId, TransactionId

EXPIRING_BEFORE_S = 86_400  # how long before it lapses an authorization is told to be expiring
TRY_AGAIN_S = 10.0  # before what could not be handed over is tried again


class Status(StrEnum):
    """Where a payment stands."""

    CREATED = "created"  # the merchant acts next: with a transaction, or by canceling
    PROCESSING = "processing"  # the card network acts next; an unknown outcome stays here
    AUTHORIZED = "authorized"  # the merchant acts next: captures or cancels, or it lapses
    CAPTURING = "capturing"  # the card network acts next; to merchants the same as processing
    SUCCEEDED = "succeeded"  # final
    FAILED = "failed"  # the merchant acts next: with another transaction, or by canceling
    CANCELED = "canceled"  # final


class Event(StrEnum):
    """What can happen to an intent."""

    BEGIN = "begin"
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    SUCCEED = "succeed"
    FAIL = "fail"
    REFUSE_CAPTURE = "refuse_capture"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.CREATED, Event.BEGIN): Status.PROCESSING,
    (Status.CREATED, Event.CANCEL): Status.CANCELED,
    (Status.PROCESSING, Event.AUTHORIZE): Status.AUTHORIZED,
    (Status.PROCESSING, Event.SUCCEED): Status.SUCCEEDED,
    (Status.PROCESSING, Event.FAIL): Status.FAILED,
    (Status.AUTHORIZED, Event.CAPTURE): Status.CAPTURING,
    (Status.AUTHORIZED, Event.CANCEL): Status.CANCELED,
    (Status.CAPTURING, Event.SUCCEED): Status.SUCCEEDED,
    (Status.CAPTURING, Event.REFUSE_CAPTURE): Status.AUTHORIZED,
    (Status.FAILED, Event.BEGIN): Status.PROCESSING,
    (Status.FAILED, Event.CANCEL): Status.CANCELED,
}

OUTCOMES: dict[Event, Status] = {
    Event.AUTHORIZE: Status.AUTHORIZED,
    Event.SUCCEED: Status.SUCCEEDED,
    Event.FAIL: Status.FAILED,
}


PUBLIC_NAMES: dict[Status, str] = {status: status.value for status in Status} | {
    Status.CAPTURING: Status.PROCESSING.value
}


# In these a charge may begin, now or when the one that holds the intent has failed.
STILL_PAYABLE = frozenset({Status.CREATED, Status.PROCESSING, Status.FAILED})


class CaptureMethod(StrEnum):
    """When authorized funds are collected."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class PartialApproval(StrEnum):
    """What becomes of an approval of only a part of the amount."""

    REFUSED = "refused"  # txn_svc acts: it has the part undone, and the charge has failed
    ACCEPTED = "accepted"  # it is taken; the merchant acts next, and collects the rest otherwise


class IntentInUnexpectedState(DomainError):
    """The intent's status does not allow this."""

    kind, reason = Kind.WRONG_STATE, "PAYMENT_INTENT_UNEXPECTED_STATE"

    def __init__(self, status: Status, wish: str) -> None:
        name = PUBLIC_NAMES[status]
        super().__init__(f"This payment intent is {name}, so it can't be {wish}.")


class AuthorizationExpired(DomainError):
    """The funds may not be held any more."""

    kind, reason = Kind.WRONG_STATE, "AUTHORIZATION_EXPIRED"

    def __init__(self) -> None:
        super().__init__("The authorization has lapsed, so it can't be captured.")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a card was not charged. decline_code: what the issuer said, where it may be told."""

    code: str
    message: str
    decline_code: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction, for certain.

    amount_authorized_minor: with AUTHORIZE and SUCCEED. capture_before: only with AUTHORIZE.
    capture_number: only with REFUSE_CAPTURE, from 1.
    """

    event: Event
    amount_captured_minor: int = 0
    failure: Failure | None = None
    capture_before: int | None = None
    capture_number: int = 0
    amount_authorized_minor: int = 0


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """What a merchant wants to collect from one customer.

    Amounts are in minor units of `currency`. amount_authorized_minor: what the issuer approved.
    amount_to_capture_minor: what a capture was asked for. version: counts changes from 1.
    latest_transaction_id: the transaction that holds or last held the intent. captures: how many
    were begun; the last one may be open.
    capture_before: when an authorization lapses; None where there never was one to capture.
    is_expiring: whether its end was told. due: when something is to be done about the intent
    without anyone asking; None when nothing is. Times are Unix seconds.
    """

    id: PaymentIntentId
    merchant_id: MerchantId
    mode: str
    amount_minor: int
    currency: str
    created: int
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Status = Status.CREATED
    amount_captured_minor: int = 0
    latest_transaction_id: TransactionId | None = None
    last_failure: Failure | None = None
    version: int = 1
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    amount_to_capture_minor: int | None = None
    capture_before: int | None = None
    is_expiring: bool = False
    due: float | None = None
    captures: int = 0
    partial_approval: PartialApproval = PartialApproval.REFUSED
    amount_authorized_minor: int = 0

    @property
    def is_manual(self) -> bool:
        """Return whether an approval only holds the funds."""
        return self.capture_method is CaptureMethod.MANUAL


def check_still_payable(intent: PaymentIntent) -> None:
    """Raise IntentInUnexpectedState if no charge can begin any more."""
    if intent.status not in STILL_PAYABLE:
        raise IntentInUnexpectedState(intent.status, "paid any more")


def begin_processing(intent: PaymentIntent, transaction_id: TransactionId) -> PaymentIntent:
    """Give the intent to a transaction; the one that holds it may ask again."""
    if intent.status is Status.PROCESSING and intent.latest_transaction_id == transaction_id:
        return intent
    return replace(
        intent,
        status=_next(intent, Event.BEGIN, "charged"),
        latest_transaction_id=transaction_id,
        last_failure=None,
        version=intent.version + 1,
    )


def apply_outcome(
    intent: PaymentIntent, transaction_id: TransactionId, outcome: Outcome, now: float
) -> PaymentIntent:
    """Tell the intent what became of the transaction that holds it; telling it again is harmless.

    So is telling that it was authorized when it has gone on since. Raises IntentInUnexpectedState
    when another transaction holds it, or it was told otherwise, and ParameterInvalid for an amount
    that it does not let be authorized.
    """
    if intent.latest_transaction_id != transaction_id:
        raise IntentInUnexpectedState(intent.status, f"moved by transaction {transaction_id}")
    if outcome.event is Event.REFUSE_CAPTURE:
        return _refuse_capture(intent, outcome, now)
    became = OUTCOMES[outcome.event]
    is_old = outcome.event is Event.AUTHORIZE and intent.capture_before is not None
    if intent.status is became or is_old:
        return intent
    held_until = outcome.capture_before if outcome.event is Event.AUTHORIZE else None
    return replace(
        intent,
        status=_next(intent, outcome.event, f"moved to {became}"),
        amount_captured_minor=outcome.amount_captured_minor,
        amount_authorized_minor=_authorized_minor(intent, outcome),
        last_failure=outcome.failure,
        capture_before=held_until or intent.capture_before,
        due=_expiring_at(held_until, now) if held_until is not None else None,
        version=intent.version + 1,
    )


def begin_capture(intent: PaymentIntent, amount_minor: int | None, now: float) -> PaymentIntent:
    """Let authorized funds be collected, all that the issuer approved without an amount.

    From here it succeeds, or the network refuses it. Raises IntentInUnexpectedState,
    AuthorizationExpired, ParameterInvalid.
    """
    status = _next(intent, Event.CAPTURE, "captured")
    if intent.capture_before is None or now >= intent.capture_before:
        raise AuthorizationExpired
    if amount_minor is None:
        amount_minor = intent.amount_authorized_minor
    if amount_minor > intent.amount_authorized_minor:
        raise ParameterInvalid(
            f"At most the authorized {intent.amount_authorized_minor} can be captured.",
            param="amountToCaptureInCents",
        )
    return replace(
        intent,
        status=status,
        amount_to_capture_minor=amount_minor,
        captures=intent.captures + 1,
        last_failure=None,
        due=now + TRY_AGAIN_S,
        version=intent.version + 1,
    )


def tell_expiring(intent: PaymentIntent) -> PaymentIntent:
    """Note that the merchant is told of an authorization's end, which comes next."""
    if intent.status is not Status.AUTHORIZED or intent.is_expiring:
        return intent
    return replace(intent, is_expiring=True, due=intent.capture_before, version=intent.version + 1)


def cancel(intent: PaymentIntent, now: float) -> PaymentIntent:
    """Give the payment up; canceling again changes nothing. What is held is then to be released."""
    if intent.status is Status.CANCELED:
        return intent
    return replace(
        intent,
        status=_next(intent, Event.CANCEL, "canceled"),
        last_failure=None,
        due=now + TRY_AGAIN_S if intent.status is Status.AUTHORIZED else None,
        version=intent.version + 1,
    )


class Duty(StrEnum):
    """What is to be done about an intent that is due."""

    TELL_EXPIRING = "tell_expiring"
    EXPIRE = "expire"
    CAPTURE = "capture"
    VOID = "void"


def duty(intent: PaymentIntent, now: float) -> Duty:
    """Return what is to be done about an intent that is due."""
    if intent.status is Status.CAPTURING:
        return Duty.CAPTURE
    if intent.status is Status.CANCELED:
        return Duty.VOID
    is_over = intent.capture_before is not None and now >= intent.capture_before
    return Duty.EXPIRE if is_over else Duty.TELL_EXPIRING


def event_type(was: PaymentIntent, intent: PaymentIntent) -> str:
    """Return the type of the event that tells of a change."""
    if intent.is_expiring and not was.is_expiring:
        return "payment.authorization_expiring"
    if (was.status, intent.status) == (Status.CAPTURING, Status.AUTHORIZED):
        return "payment.capture_failed"
    return f"payment.{PUBLIC_NAMES[intent.status]}"


def _authorized_minor(intent: PaymentIntent, outcome: Outcome) -> int:
    """Return it. Raises ParameterInvalid unless it is the whole, or a part that is accepted."""
    if outcome.event is Event.FAIL:
        return 0
    least_minor = 1 if intent.partial_approval is PartialApproval.ACCEPTED else intent.amount_minor
    if not least_minor <= outcome.amount_authorized_minor <= intent.amount_minor:
        raise ParameterInvalid(
            f"Of {intent.amount_minor} it can't be {outcome.amount_authorized_minor}.",
            param="amount_authorized_in_cents",
        )
    return outcome.amount_authorized_minor


def _refuse_capture(intent: PaymentIntent, outcome: Outcome, now: float) -> PaymentIntent:
    """Let the merchant decide again; a refusal that is told late changes nothing."""
    is_told = outcome.capture_number == intent.captures and intent.status in {
        Status.AUTHORIZED,
        Status.CANCELED,
    }
    if is_told or outcome.capture_number < intent.captures:
        return intent
    if outcome.capture_number > intent.captures or intent.capture_before is None:
        raise IntentInUnexpectedState(intent.status, "moved by a capture that was never begun")
    return replace(
        intent,
        status=_next(intent, Event.REFUSE_CAPTURE, "authorized again"),
        amount_to_capture_minor=None,
        last_failure=outcome.failure,
        due=intent.capture_before
        if intent.is_expiring
        else _expiring_at(intent.capture_before, now),
        version=intent.version + 1,
    )


def _expiring_at(capture_before: int, now: float) -> float:
    """Return when to tell that it expires: a day before, or in the middle of a short time."""
    return max(capture_before - EXPIRING_BEFORE_S, (now + capture_before) / 2)


def _next(intent: PaymentIntent, event: Event, wish: str) -> Status:
    status = TRANSITIONS.get((intent.status, event))
    if status is None:
        raise IntentInUnexpectedState(intent.status, wish)
    return status
