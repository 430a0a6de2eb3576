"""The rules of a payment intent: every state meets every event, and values are checked by name."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from chassis.errors import DomainError, ParameterInvalid
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from intent_svc.domain import fields, payment_intent
from intent_svc.domain.payment_intent import (
    OUTCOMES,
    TRANSITIONS,
    CaptureMethod,
    Event,
    Failure,
    IntentInUnexpectedState,
    Outcome,
    PartialApproval,
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
        captures=1 if status is Status.CAPTURING else 0,
        capture_before=LAPSES if status in HELD else None,
        amount_authorized_minor=1099 if status in HELD else 0,
        last_failure=DECLINED if status is Status.FAILED else None,
        version=3,
    )


def _happens(intent: PaymentIntent, event: Event) -> PaymentIntent:
    if event is Event.BEGIN:
        return payment_intent.begin_processing(intent, OTHER)
    if event is Event.CANCEL:
        return payment_intent.cancel(intent, NOW)
    if event is Event.CAPTURE:
        return payment_intent.begin_capture(intent, None, NOW)
    outcome = Outcome(event, capture_number=1, amount_authorized_minor=1099)
    return payment_intent.apply_outcome(intent, HOLDER, outcome, NOW)


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

    assert payment_intent.begin_processing(intent, HOLDER) is intent
    with pytest.raises(IntentInUnexpectedState):
        payment_intent.begin_processing(intent, OTHER)


def test_only_the_holder_can_move_an_intent() -> None:
    with pytest.raises(IntentInUnexpectedState):
        payment_intent.apply_outcome(
            an_intent(Status.PROCESSING), OTHER, Outcome(Event.SUCCEED), NOW
        )


# Whether the intent accepts a part, what is told to be authorized of 1099, and whether it takes it.
AUTHORIZED = [
    (PartialApproval.REFUSED, 1099, True),
    (PartialApproval.REFUSED, 1098, False),
    (PartialApproval.REFUSED, 0, False),
    (PartialApproval.ACCEPTED, 1099, True),
    (PartialApproval.ACCEPTED, 1, True),
    (PartialApproval.ACCEPTED, 0, False),
    (PartialApproval.ACCEPTED, 1100, False),
]


@pytest.mark.parametrize("event", [Event.SUCCEED, Event.AUTHORIZE])
@pytest.mark.parametrize(("partial_approval", "amount", "is_taken"), AUTHORIZED)
def test_a_part_is_authorized_only_where_the_intent_accepts_it(
    event: Event, partial_approval: PartialApproval, amount: int, *, is_taken: bool
) -> None:
    intent = replace(an_intent(Status.PROCESSING), partial_approval=partial_approval)
    outcome = Outcome(event, capture_before=LAPSES, amount_authorized_minor=amount)

    if is_taken:
        moved = payment_intent.apply_outcome(intent, HOLDER, outcome, NOW)
        assert moved.amount_authorized_minor == amount
        return
    with pytest.raises(ParameterInvalid) as refused:
        payment_intent.apply_outcome(intent, HOLDER, outcome, NOW)
    assert refused.value.param == "amount_authorized_in_cents"


def test_nothing_is_authorized_by_what_failed_and_it_stays_told_of_what_was_given_up() -> None:
    accepting = replace(an_intent(Status.PROCESSING), partial_approval=PartialApproval.ACCEPTED)
    held = Outcome(Event.AUTHORIZE, capture_before=LAPSES, amount_authorized_minor=549)

    failed = payment_intent.apply_outcome(
        accepting, HOLDER, Outcome(Event.FAIL, failure=DECLINED), NOW
    )
    canceled = payment_intent.cancel(
        payment_intent.apply_outcome(accepting, HOLDER, held, NOW), NOW
    )

    assert failed.amount_authorized_minor == 0
    assert canceled.amount_authorized_minor == 549


def test_a_new_try_forgets_the_last_failure() -> None:
    again = payment_intent.begin_processing(an_intent(Status.FAILED), OTHER)

    assert again.last_failure is None
    assert again.latest_transaction_id == OTHER


@pytest.mark.parametrize("amount", [None, 0, -1, 100_000_000])
def test_amounts_outside_the_limits_are_refused_by_name(amount: int | None) -> None:
    with pytest.raises(DomainError) as refused:
        fields.check_amount(amount)

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
        ({"k": "card 4242 4242 4242 4242"}, "metadata.k"),
        ({"card 4242424242424242": "v"}, "metadata"),
    ],
)
def test_metadata_outside_the_limits_is_refused_by_name(
    metadata: dict[str, str], param: str
) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        fields.check_metadata(metadata)

    assert refused.value.param == param


def test_metadata_at_the_limits_is_taken() -> None:
    metadata = {f"{n:040d}": "v" * 500 for n in range(50)}

    assert fields.check_metadata(metadata) == metadata
