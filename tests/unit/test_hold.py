"""What a merchant may do with held funds, until when, and what is done without anyone asking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chassis.errors import ParameterInvalid
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from intent_svc import domain
from intent_svc.domain import (
    EXPIRING_BEFORE_S,
    PUBLIC_NAMES,
    AuthorizationExpired,
    CaptureMethod,
    Duty,
    Event,
    IntentInUnexpectedState,
    Outcome,
    PaymentIntent,
    Status,
)

HOLDER = TransactionId("txn_holder")
AMOUNT = 1099
NOW = 1_000_000
WEEK = 7 * 86_400
LAPSES = NOW + WEEK
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
    held = Outcome(Event.AUTHORIZE, capture_before=capture_before)
    return domain.apply_outcome(PROCESSING, HOLDER, held, now)


def captured(intent: PaymentIntent, amount: int) -> PaymentIntent:
    return domain.apply_outcome(intent, HOLDER, Outcome(Event.SUCCEED, amount), NOW)


@pytest.mark.parametrize(("wish", "amount"), [(None, AMOUNT), (AMOUNT, AMOUNT), (1, 1)])
def test_all_or_a_part_is_captured(wish: int | None, amount: int) -> None:
    capturing = domain.begin_capture(authorized(), wish, NOW)

    assert (capturing.status, capturing.amount_to_capture_minor) == (Status.CAPTURING, amount)
    assert captured(capturing, amount).amount_captured_minor == amount


def test_more_than_is_authorized_is_refused_by_name() -> None:
    with pytest.raises(ParameterInvalid) as refused:
        domain.begin_capture(authorized(), AMOUNT + 1, NOW)

    assert refused.value.param == "amountToCaptureInCents"


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_can_t_be_captured(amount: int) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        domain.check_amount_to_capture(amount)

    assert refused.value.param == "amountToCaptureInCents"


@pytest.mark.parametrize(("late_s", "is_refused"), [(-0.001, False), (0, True), (1, True)])
def test_what_has_lapsed_is_not_captured_even_before_it_is_canceled(
    late_s: float, *, is_refused: bool
) -> None:
    if not is_refused:
        assert domain.begin_capture(authorized(), None, LAPSES + late_s)
        return
    with pytest.raises(AuthorizationExpired):
        domain.begin_capture(authorized(), None, LAPSES + late_s)


def test_a_capture_on_its_way_is_neither_captured_again_nor_canceled() -> None:
    capturing = domain.begin_capture(authorized(), 500, NOW)

    with pytest.raises(IntentInUnexpectedState) as second:
        domain.begin_capture(capturing, 500, NOW)
    with pytest.raises(IntentInUnexpectedState) as cancel:
        domain.cancel(capturing, NOW)
    for refused in (second, cancel):
        assert "is processing" in refused.value.message


def test_an_old_authorization_told_again_moves_nothing_back() -> None:
    held = Outcome(Event.AUTHORIZE, capture_before=LAPSES)
    capturing = domain.begin_capture(authorized(), 500, NOW)

    for intent in (
        authorized(),
        capturing,
        captured(capturing, 500),
        domain.cancel(authorized(), NOW),
    ):
        assert domain.apply_outcome(intent, HOLDER, held, NOW) is intent


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

    told = domain.tell_expiring(intent)

    assert intent.due == told_at
    assert domain.duty(intent, told_at) is Duty.TELL_EXPIRING
    assert (told.status, told.due) == (Status.AUTHORIZED, capture_before)
    assert domain.event_type(intent, told) == "payment.authorization_expiring"
    assert domain.tell_expiring(told) is told
    assert domain.duty(told, capture_before) is Duty.EXPIRE


def test_what_is_handed_over_is_due_until_it_is() -> None:
    capturing = domain.begin_capture(authorized(), None, NOW)
    canceled = domain.cancel(authorized(), NOW)

    assert capturing.due == canceled.due == NOW + domain.TRY_AGAIN_S
    assert domain.duty(capturing, NOW) is Duty.CAPTURE
    assert domain.duty(canceled, NOW) is Duty.VOID
    told = Outcome(Event.SUCCEED, AMOUNT, capture_before=LAPSES)
    assert domain.apply_outcome(capturing, HOLDER, told, NOW).due is None


@pytest.mark.parametrize("status", [Status.CREATED, Status.FAILED])
def test_where_nothing_is_held_nothing_is_due(status: Status) -> None:
    assert domain.cancel(replace(PROCESSING, status=status), NOW).due is None


def test_merchants_see_a_capture_on_its_way_as_processing() -> None:
    intent = authorized()
    capturing = domain.begin_capture(intent, None, NOW)

    assert domain.event_type(intent, capturing) == "payment.processing"
    assert PUBLIC_NAMES[capturing.status] == "processing"
    assert domain.event_type(PROCESSING, intent) == "payment.authorized"
