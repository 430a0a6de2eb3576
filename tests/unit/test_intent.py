"""The rules of a payment intent: every state meets every event, and values are checked by name."""

from __future__ import annotations

from itertools import product

import pytest

from chassis.errors import DomainError, ParameterInvalid
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from intent_svc import domain
from intent_svc.domain import (
    OUTCOMES,
    TRANSITIONS,
    CaptureMethod,
    Event,
    Failure,
    IntentInUnexpectedState,
    Outcome,
    PaymentIntent,
    Status,
)

HOLDER = TransactionId("txn_holder")
OTHER = TransactionId("txn_other")
DECLINED = Failure("card_declined", "The card was declined.", "do_not_honor")
HELD = frozenset({Status.AUTHORIZED, Status.CAPTURING})
NOW, LAPSES = 1_000, 1_000_000


def an_intent(status: Status = Status.CREATED) -> PaymentIntent:
    return PaymentIntent(
        id=PaymentIntentId("pi_1"),
        merchant_id=MerchantId("mer_1"),
        mode="test",
        amount_minor=1099,
        currency="usd",
        created=1,
        status=status,
        latest_transaction_id=None if status is Status.CREATED else HOLDER,
        capture_method=CaptureMethod.MANUAL if status in HELD else CaptureMethod.AUTOMATIC,
        amount_to_capture_minor=500 if status is Status.CAPTURING else None,
        capture_before=LAPSES if status in HELD else None,
        last_failure=DECLINED if status is Status.FAILED else None,
        version=3,
    )


def _happens(intent: PaymentIntent, event: Event) -> PaymentIntent:
    if event is Event.BEGIN:
        return domain.begin_processing(intent, OTHER)
    if event is Event.CANCEL:
        return domain.cancel(intent, NOW)
    if event is Event.CAPTURE:
        return domain.begin_capture(intent, None, NOW)
    return domain.apply_outcome(intent, HOLDER, Outcome(event), NOW)


@pytest.mark.parametrize(("status", "event"), list(product(Status, Event)))
def test_every_state_takes_an_event_or_refuses_it(status: Status, event: Event) -> None:
    intent = an_intent(status)
    is_repeated = status is OUTCOMES.get(event) or (status, event) in {
        (Status.CANCELED, Event.CANCEL),
        (Status.CAPTURING, Event.AUTHORIZE),
    }
    expected = TRANSITIONS.get((status, event))

    if is_repeated:
        assert _happens(intent, event) is intent
    elif expected is None or (status is Status.CREATED and event in OUTCOMES):
        with pytest.raises(IntentInUnexpectedState):
            _happens(intent, event)
    else:
        moved = _happens(intent, event)
        assert moved.status is expected
        assert moved.version == intent.version + 1


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.CANCELED])
def test_nothing_leaves_a_final_state(status: Status) -> None:
    assert not [event for found, event in TRANSITIONS if found is status]


def test_the_transaction_that_holds_an_intent_may_claim_it_again() -> None:
    intent = an_intent(Status.PROCESSING)

    assert domain.begin_processing(intent, HOLDER) is intent
    with pytest.raises(IntentInUnexpectedState):
        domain.begin_processing(intent, OTHER)


def test_only_the_holder_can_move_an_intent() -> None:
    with pytest.raises(IntentInUnexpectedState):
        domain.apply_outcome(an_intent(Status.PROCESSING), OTHER, Outcome(Event.SUCCEED), NOW)


def test_a_new_try_forgets_the_last_failure() -> None:
    again = domain.begin_processing(an_intent(Status.FAILED), OTHER)

    assert again.last_failure is None
    assert again.latest_transaction_id == OTHER


@pytest.mark.parametrize("amount", [None, 0, -1, 100_000_000])
def test_amounts_outside_the_limits_are_refused_by_name(amount: int | None) -> None:
    with pytest.raises(DomainError) as refused:
        domain.check_amount(amount)

    assert refused.value.param == "amountInCents"


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({f"k{n}": "" for n in range(51)}, "metadata"),
        ({"k" * 41: "v"}, "metadata." + "k" * 41),
        ({"a[b]": "v"}, "metadata.a[b]"),
        ({"": "v"}, "metadata."),
        ({"k": "v" * 501}, "metadata.k"),
        ({"k": "\0"}, "metadata.k"),
    ],
)
def test_metadata_outside_the_limits_is_refused_by_name(
    metadata: dict[str, str], param: str
) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        domain.check_metadata(metadata)

    assert refused.value.param == param


def test_metadata_at_the_limits_is_taken() -> None:
    metadata = {f"{n:040d}": "v" * 500 for n in range(50)}

    assert domain.check_metadata(metadata) == metadata
