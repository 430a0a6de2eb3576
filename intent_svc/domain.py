"""The rules of a payment intent: its fields, its states and who may move it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from chassis.errors import DomainError, Kind, ParameterInvalid, ParameterMissing
from chassis.fields import check_text
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from chassis.money import AMOUNT_MINOR_MAX, CURRENCIES

DESCRIPTION_LENGTH_MAX = 1000
METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_VALUE_LENGTH_MAX = 500
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


class CaptureMethod(StrEnum):
    """When authorized funds are collected."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


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
    """What became of a transaction, for certain. capture_before: only with AUTHORIZE."""

    event: Event
    amount_captured_minor: int = 0
    failure: Failure | None = None
    capture_before: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """What a merchant wants to collect from one customer.

    amount_minor, amount_captured_minor: in minor units of `currency`. version: counts changes from
    1. latest_transaction_id: the transaction that holds or last held the intent. amount_to_capture_
    minor: what a capture was asked for. capture_before: when an authorization lapses; None where
    there never was one to capture. is_expiring: whether its end was told. due: when something is to
    be done about the intent without anyone asking; None when nothing is. Times are Unix seconds.
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

    @property
    def is_manual(self) -> bool:
        """Return whether an approval only holds the funds."""
        return self.capture_method is CaptureMethod.MANUAL


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
    when another transaction holds it, or it was told otherwise.
    """
    if intent.latest_transaction_id != transaction_id:
        raise IntentInUnexpectedState(intent.status, f"moved by transaction {transaction_id}")
    became = OUTCOMES[outcome.event]
    is_old = outcome.event is Event.AUTHORIZE and intent.capture_before is not None
    if intent.status is became or is_old:
        return intent
    held_until = outcome.capture_before if outcome.event is Event.AUTHORIZE else None
    return replace(
        intent,
        status=_next(intent, outcome.event, f"moved to {became}"),
        amount_captured_minor=outcome.amount_captured_minor,
        last_failure=outcome.failure,
        capture_before=held_until or intent.capture_before,
        due=_expiring_at(held_until, now) if held_until is not None else None,
        version=intent.version + 1,
    )


def begin_capture(intent: PaymentIntent, amount_minor: int | None, now: float) -> PaymentIntent:
    """Let authorized funds be collected, all of them without an amount.

    From here it can only succeed. Raises IntentInUnexpectedState, AuthorizationExpired,
    ParameterInvalid.
    """
    status = _next(intent, Event.CAPTURE, "captured")
    if intent.capture_before is None or now >= intent.capture_before:
        raise AuthorizationExpired
    amount_minor = intent.amount_minor if amount_minor is None else amount_minor
    if amount_minor > intent.amount_minor:
        raise ParameterInvalid(
            f"At most the authorized {intent.amount_minor} can be captured.",
            param="amountToCaptureInCents",
        )
    return replace(
        intent,
        status=status,
        amount_to_capture_minor=amount_minor,
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
    return f"payment.{PUBLIC_NAMES[intent.status]}"


def _expiring_at(capture_before: int, now: float) -> float:
    """Return when to tell that it expires: a day before, or in the middle of a short time."""
    return max(capture_before - EXPIRING_BEFORE_S, (now + capture_before) / 2)


def _next(intent: PaymentIntent, event: Event, wish: str) -> Status:
    status = TRANSITIONS.get((intent.status, event))
    if status is None:
        raise IntentInUnexpectedState(intent.status, wish)
    return status


def check_amount(amount_minor: int | None) -> int:
    """Return the amount. Raises ParameterMissing, ParameterInvalid."""
    if amount_minor is None:
        raise ParameterMissing("amountInCents")
    if not 1 <= amount_minor <= AMOUNT_MINOR_MAX:
        raise ParameterInvalid(
            f"amountInCents must be 1 to {AMOUNT_MINOR_MAX}, in minor units of the currency.",
            param="amountInCents",
        )
    return amount_minor


def check_amount_to_capture(amount_minor: int | None) -> int | None:
    """Return the amount, or None for all there is. Raises ParameterInvalid."""
    if amount_minor is not None and amount_minor < 1:
        raise ParameterInvalid(
            "amountToCaptureInCents must be at least 1.", param="amountToCaptureInCents"
        )
    return amount_minor


def check_currency(currency: str) -> str:
    """Return the currency. Raises ParameterMissing, ParameterInvalid."""
    if not currency:
        raise ParameterMissing("currency")
    if currency not in CURRENCIES:
        raise ParameterInvalid(
            'currency must be an ISO 4217 code in lower case, e.g. "usd".', param="currency"
        )
    return currency


def check_description(description: str | None) -> str | None:
    """Return the description. Raises ParameterInvalid."""
    if description is not None:
        check_text(description, DESCRIPTION_LENGTH_MAX, "description")
    return description


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata. Raises ParameterInvalid, naming the key."""
    if len(metadata) > METADATA_KEYS_MAX:
        raise ParameterInvalid(
            f"metadata must have at most {METADATA_KEYS_MAX} keys.", param="metadata"
        )
    for key, value in metadata.items():
        param = f"metadata.{key}"
        if not 0 < len(key) <= METADATA_KEY_LENGTH_MAX or "[" in key or "]" in key or "\0" in key:
            raise ParameterInvalid(
                f"A metadata key has 1 to {METADATA_KEY_LENGTH_MAX} characters without square "
                "brackets.",
                param=param,
            )
        check_text(value, METADATA_VALUE_LENGTH_MAX, param)
    return dict(metadata)
