"""What a merchant may do with held funds, until when, and what is done without anyone asking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chassis.errors import ParameterInvalid
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from intent_svc.domain import fields, payment_intent
from intent_svc.domain.payment_intent import (
    EXPIRING_BEFORE_S,
    PUBLIC_NAMES,
    AuthorizationExpired,
    CaptureMethod,
    Duty,
    Event,
    Failure,
    IntentInUnexpectedState,
    Outcome,
    PartialApproval,
    PaymentIntent,
    Status,
)

HOLDER = TransactionId("txn_holder")
AMOUNT = 1099
NOW = 1_000_000
WEEK = 7 * 86_400
LAPSES = NOW + WEEK
REFUSAL = Failure("card_declined", "The card was declined.", "do_not_honor")
PROCESSING = PaymentIntent(
    id=PaymentIntentId("pi_1"),
    merchant_id=MerchantId("mer_1"),
    mode="test",
    amount_minor=AMOUNT,
    currency="usd",
    created=1,
    status=Status.PROCESSING,
    latest_transaction_id=HOLDER,
    version=2,
    capture_method=CaptureMethod.MANUAL,
)


def authorized(capture_before: int = LAPSES, now: float = NOW) -> PaymentIntent:
    held = Outcome(Event.AUTHORIZE, capture_before=capture_before, amount_authorized_minor=AMOUNT)
    return payment_intent.apply_outcome(PROCESSING, HOLDER, held, now)


def captured(intent: PaymentIntent, amount: int) -> PaymentIntent:
    told = Outcome(Event.SUCCEED, amount, amount_authorized_minor=intent.amount_authorized_minor)
    return payment_intent.apply_outcome(intent, HOLDER, told, NOW)


@pytest.mark.parametrize(("wish", "amount"), [(None, AMOUNT), (AMOUNT, AMOUNT), (1, 1)])
def test_all_or_a_part_is_captured(wish: int | None, amount: int) -> None:
    capturing = payment_intent.begin_capture(authorized(), wish, NOW)

    assert (capturing.status, capturing.amount_to_capture_minor) == (Status.CAPTURING, amount)
    assert captured(capturing, amount).amount_captured_minor == amount


def test_more_than_is_authorized_is_refused_by_name() -> None:
    with pytest.raises(ParameterInvalid) as refused:
        payment_intent.begin_capture(authorized(), AMOUNT + 1, NOW)

    assert refused.value.param == "amountToCaptureInCents"


@pytest.mark.parametrize("wish", [None, 549])
def test_of_an_accepted_part_no_more_than_that_is_captured(wish: int | None) -> None:
    accepting = replace(PROCESSING, partial_approval=PartialApproval.ACCEPTED)
    held = Outcome(Event.AUTHORIZE, capture_before=LAPSES, amount_authorized_minor=549)
    authorized_in_part = payment_intent.apply_outcome(accepting, HOLDER, held, NOW)

    capturing = payment_intent.begin_capture(authorized_in_part, wish, NOW)

    assert capturing.amount_to_capture_minor == 549
    assert captured(capturing, 549).amount_captured_minor == 549
    with pytest.raises(ParameterInvalid) as refused:
        payment_intent.begin_capture(authorized_in_part, 550, NOW)
    assert refused.value.param == "amountToCaptureInCents"
    assert "549" in refused.value.message


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_can_t_be_captured(amount: int) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        fields.check_amount_to_capture(amount)

    assert refused.value.param == "amountToCaptureInCents"


@pytest.mark.parametrize(("late_s", "is_refused"), [(-0.001, False), (0, True), (1, True)])
def test_what_has_lapsed_is_not_captured_even_before_it_is_canceled(
    late_s: float, *, is_refused: bool
) -> None:
    if not is_refused:
        assert payment_intent.begin_capture(authorized(), None, LAPSES + late_s)
        return
    with pytest.raises(AuthorizationExpired):
        payment_intent.begin_capture(authorized(), None, LAPSES + late_s)


def test_a_capture_on_its_way_is_neither_captured_again_nor_canceled() -> None:
    capturing = payment_intent.begin_capture(authorized(), 500, NOW)

    with pytest.raises(IntentInUnexpectedState) as second:
        payment_intent.begin_capture(capturing, 500, NOW)
    with pytest.raises(IntentInUnexpectedState) as cancel:
        payment_intent.cancel(capturing, NOW)
    for refused in (second, cancel):
        assert "is processing" in refused.value.message


def test_an_old_authorization_told_again_moves_nothing_back() -> None:
    held = Outcome(Event.AUTHORIZE, capture_before=LAPSES, amount_authorized_minor=AMOUNT)
    capturing = payment_intent.begin_capture(authorized(), 500, NOW)

    for intent in (
        authorized(),
        capturing,
        captured(capturing, 500),
        payment_intent.cancel(authorized(), NOW),
    ):
        assert payment_intent.apply_outcome(intent, HOLDER, held, NOW) is intent


@pytest.mark.parametrize(
    ("capture_before", "told_at"),
    [
        (LAPSES, LAPSES - EXPIRING_BEFORE_S),
        (NOW + 3600, NOW + 1800),
    ],
    ids=["a day before", "in the middle of a short time"],
)
def test_the_end_is_told_some_time_before(capture_before: int, told_at: int) -> None:
    intent = authorized(capture_before)

    told = payment_intent.tell_expiring(intent)

    assert intent.due == told_at
    assert payment_intent.duty(intent, told_at) is Duty.TELL_EXPIRING
    assert (told.status, told.due) == (Status.AUTHORIZED, capture_before)
    assert payment_intent.event_type(intent, told) == "payment.authorization_expiring"
    assert payment_intent.tell_expiring(told) is told
    assert payment_intent.duty(told, capture_before) is Duty.EXPIRE


def test_what_is_handed_over_is_due_until_it_is() -> None:
    capturing = payment_intent.begin_capture(authorized(), None, NOW)
    canceled = payment_intent.cancel(authorized(), NOW)

    assert capturing.due == canceled.due == NOW + payment_intent.TRY_AGAIN_S
    assert payment_intent.duty(capturing, NOW) is Duty.CAPTURE
    assert payment_intent.duty(canceled, NOW) is Duty.VOID
    told = Outcome(Event.SUCCEED, AMOUNT, capture_before=LAPSES, amount_authorized_minor=AMOUNT)
    assert payment_intent.apply_outcome(capturing, HOLDER, told, NOW).due is None


@pytest.mark.parametrize("status", [Status.CREATED, Status.FAILED])
def test_where_nothing_is_held_nothing_is_due(status: Status) -> None:
    assert payment_intent.cancel(replace(PROCESSING, status=status), NOW).due is None


def test_merchants_see_a_capture_on_its_way_as_processing() -> None:
    intent = authorized()
    capturing = payment_intent.begin_capture(intent, None, NOW)

    assert payment_intent.event_type(intent, capturing) == "payment.processing"
    assert PUBLIC_NAMES[capturing.status] == "processing"
    assert payment_intent.event_type(PROCESSING, intent) == "payment.authorized"


def refused(number: int = 1) -> Outcome:
    return Outcome(Event.REFUSE_CAPTURE, failure=REFUSAL, capture_number=number)


def test_a_refused_capture_lets_the_merchant_decide_again() -> None:
    capturing = payment_intent.begin_capture(authorized(), 500, NOW)

    again = payment_intent.apply_outcome(capturing, HOLDER, refused(), NOW)

    assert (again.status, again.last_failure) == (Status.AUTHORIZED, REFUSAL)
    assert (again.amount_to_capture_minor, again.amount_captured_minor) == (None, 0)
    assert again.due == authorized().due
    assert payment_intent.event_type(capturing, again) == "payment.capture_failed"
    for intent in (
        payment_intent.begin_capture(again, None, NOW),
        payment_intent.cancel(again, NOW),
    ):
        assert intent.last_failure is None
    assert payment_intent.begin_capture(again, None, NOW).captures == 2


def test_a_refusal_that_is_told_again_or_late_ends_no_other_capture() -> None:
    again = payment_intent.apply_outcome(
        payment_intent.begin_capture(authorized(), 500, NOW), HOLDER, refused(), NOW
    )
    second = payment_intent.begin_capture(again, 700, NOW)

    for intent in (again, payment_intent.cancel(again, NOW), second, captured(second, 700)):
        assert payment_intent.apply_outcome(intent, HOLDER, refused(), NOW) is intent


@pytest.mark.parametrize("number", [1, 2])
def test_a_refusal_of_what_was_collected_or_never_asked_is_a_contradiction(number: int) -> None:
    paid = captured(payment_intent.begin_capture(authorized(), 500, NOW), 500)

    with pytest.raises(IntentInUnexpectedState):
        payment_intent.apply_outcome(paid, HOLDER, refused(number), NOW)


def test_after_a_refusal_the_end_is_told_once_and_comes_at_its_time() -> None:
    warned = payment_intent.tell_expiring(authorized())
    capturing = payment_intent.begin_capture(warned, None, LAPSES - 1)

    in_time = payment_intent.apply_outcome(capturing, HOLDER, refused(), LAPSES - 1)
    too_late = payment_intent.apply_outcome(
        payment_intent.begin_capture(authorized(), None, NOW), HOLDER, refused(), LAPSES + 100
    )

    assert in_time.due == LAPSES
    assert too_late.due is not None
    assert too_late.due <= LAPSES + 100
    for intent in (in_time, too_late):
        assert payment_intent.duty(intent, LAPSES + 100) is Duty.EXPIRE
