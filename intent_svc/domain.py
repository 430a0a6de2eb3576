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


class Status(StrEnum):
    """Where a payment stands."""

    CREATED = "created"  # the merchant acts next: with a transaction, or by canceling
    PROCESSING = "processing"  # the card network acts next; an unknown outcome stays here
    AUTHORIZED = "authorized"  # the merchant acts next: captures or cancels
    SUCCEEDED = "succeeded"  # final
    FAILED = "failed"  # the merchant acts next: with another transaction, or by canceling
    CANCELED = "canceled"  # final


class Event(StrEnum):
    """What can happen to an intent."""

    BEGIN = "begin"
    AUTHORIZE = "authorize"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.CREATED, Event.BEGIN): Status.PROCESSING,
    (Status.CREATED, Event.CANCEL): Status.CANCELED,
    (Status.PROCESSING, Event.AUTHORIZE): Status.AUTHORIZED,
    (Status.PROCESSING, Event.SUCCEED): Status.SUCCEEDED,
    (Status.PROCESSING, Event.FAIL): Status.FAILED,
    (Status.AUTHORIZED, Event.SUCCEED): Status.SUCCEEDED,
    (Status.AUTHORIZED, Event.CANCEL): Status.CANCELED,
    (Status.FAILED, Event.BEGIN): Status.PROCESSING,
    (Status.FAILED, Event.CANCEL): Status.CANCELED,
}

OUTCOMES: dict[Event, Status] = {
    Event.AUTHORIZE: Status.AUTHORIZED,
    Event.SUCCEED: Status.SUCCEEDED,
    Event.FAIL: Status.FAILED,
}


class IntentInUnexpectedState(DomainError):
    """The intent's status does not allow this."""

    kind, reason = Kind.WRONG_STATE, "PAYMENT_INTENT_UNEXPECTED_STATE"

    def __init__(self, status: Status, wish: str) -> None:
        super().__init__(f"This payment intent is {status}, so it can't be {wish}.")


class CaptureMethodNotSupported(DomainError):
    """Manual capture can't be asked for yet."""

    kind, reason = Kind.INVALID, "CAPTURE_METHOD_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("Only automatic capture is supported.", param="captureMethod")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a card was not charged. decline_code: what the issuer said, where it may be told."""

    code: str
    message: str
    decline_code: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """What a merchant wants to collect from one customer.

    amount_minor, amount_captured_minor: in minor units of `currency`. version: counts changes from
    1. latest_transaction_id: the transaction that holds or last held the intent. created: Unix
    seconds.
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
    intent: PaymentIntent,
    transaction_id: TransactionId,
    outcome: Event,
    *,
    amount_captured_minor: int = 0,
    failure: Failure | None = None,
) -> PaymentIntent:
    """Tell the intent what became of the transaction that holds it; telling it again is harmless.

    Raises IntentInUnexpectedState when another transaction holds it, or it was told otherwise.
    """
    is_holder = intent.latest_transaction_id == transaction_id
    if is_holder and intent.status is OUTCOMES[outcome]:
        return intent
    if not is_holder:
        raise IntentInUnexpectedState(intent.status, f"moved by transaction {transaction_id}")
    return replace(
        intent,
        status=_next(intent, outcome, f"moved to {OUTCOMES[outcome]}"),
        amount_captured_minor=amount_captured_minor,
        last_failure=failure,
        version=intent.version + 1,
    )


def cancel(intent: PaymentIntent) -> PaymentIntent:
    """Give the payment up; canceling again changes nothing."""
    if intent.status is Status.CANCELED:
        return intent
    return replace(
        intent,
        status=_next(intent, Event.CANCEL, "canceled"),
        last_failure=None,
        version=intent.version + 1,
    )


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
