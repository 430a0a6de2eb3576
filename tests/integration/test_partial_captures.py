"""Parts that an intent accepts: both services over a simulated network, from charge to release."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paymesh.intent.v1 import payment_intent_pb2

from chassis.errors import ParameterInvalid
from chassis.identity import Caller
from chassis.ids import AttemptId, new_id
from chassis.paging import Page
from intent_svc.domain.payment_intent import PartialApproval, PaymentIntent, Status
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import AMOUNT_MINOR, a_key, a_wish, answered
from tests.integration.network_parts import RULES, card_fields
from txn_svc.domain.attempt import Attempt, AttemptKind, AttemptStatus
from txn_svc.domain.resolution import AttemptInUnexpectedState
from txn_svc.store.rows import Step

pytestmark = pytest.mark.integration

PART = AMOUNT_MINOR // 2
PARTS = payment_intent_pb2.PartialApprovalEnum


async def _held(holds: Holds, caller: Caller) -> PaymentIntent:
    return await holds.authorized(caller, "half", accepts_part=True)


async def _charged(holds: Holds, caller: Caller, *, accepts_part: bool) -> PaymentIntent:
    """Return an intent with automatic capture, of which half was approved."""
    answer = await holds.process.handlers.create(caller, a_wish(accepts_part=accepts_part), None)
    intent_id = answered(answer).id
    await holds.charge(caller, intent_id, card_fields(holds.network.name, "half"))
    return await holds.intent(caller, intent_id)


async def _advised(holds: Holds, caller: Caller) -> dict[str, str]:
    """Return the reversal advice that the network got."""
    [advice] = [
        message for message in (await holds.books(caller))["messages"] if message["mti"] == "0420"
    ]
    return dict(advice)


@pytest.mark.parametrize("accepts_part", [True, False])
async def test_what_an_intent_says_of_parts_is_kept_and_shown(
    holds: Holds, caller: Caller, *, accepts_part: bool
) -> None:
    wish = a_wish(accepts_part=accepts_part)
    message = answered(await holds.process.handlers.create(caller, wish, a_key()))

    intent = await holds.intent(caller, message.id)
    [listed], _ = await holds.other.handlers.list(caller, Page(10))
    assert message.partial_approval == (PARTS.accepted if accepts_part else PARTS.refused)
    assert message.amount_authorized_in_cents == 0
    assert listed == intent
    assert intent.partial_approval == (
        PartialApproval.ACCEPTED if accepts_part else PartialApproval.REFUSED
    )


async def test_an_accepted_part_is_paid_at_once(holds: Holds, caller: Caller) -> None:
    intent = await _charged(holds, caller, accepts_part=True)

    books = await holds.books(caller)
    event = (await holds.process.events(intent.id))[-1]
    assert (intent.status, intent.amount_minor) == (Status.SUCCEEDED, AMOUNT_MINOR)
    assert (intent.amount_authorized_minor, intent.amount_captured_minor) == (PART, PART)
    assert (books["captured"], books["reversed"]) == (PART, False)
    assert event.type == "payment.succeeded"
    assert event.payment_intent.amount_authorized_in_cents == PART


async def test_a_refused_part_leaves_the_intent_failed(holds: Holds, caller: Caller) -> None:
    intent = await _charged(holds, caller, accepts_part=False)
    await holds.do_due()

    books = await holds.books(caller)
    assert (intent.status, intent.amount_authorized_minor) == (Status.FAILED, 0)
    assert (books["captured"], books["reversed"]) == (0, True)


@pytest.mark.parametrize("is_manual", [True, False])
async def test_an_intent_that_was_not_told_learns_of_the_part_by_the_event(
    holds: Holds, caller: Caller, *, is_manual: bool
) -> None:
    holds.lifecycle.is_deaf = True
    before = (
        await _held(holds, caller)
        if is_manual
        else await _charged(holds, caller, accepts_part=True)
    )

    await holds.consume(before)

    intent = await holds.other.handlers.get(caller, before.id)
    assert before.status is Status.PROCESSING
    assert intent.status is (Status.AUTHORIZED if is_manual else Status.SUCCEEDED)
    assert intent.amount_authorized_minor == PART
    assert intent.amount_captured_minor == (0 if is_manual else PART)


async def test_a_held_part_is_captured_whole_without_an_amount(
    holds: Holds, caller: Caller
) -> None:
    held = await _held(holds, caller)
    before = await holds.books(caller)

    paid = await holds.capture(caller, held)

    books, transaction = await holds.books(caller), await holds.transaction(caller, held)
    assert (held.status, held.amount_authorized_minor) == (Status.AUTHORIZED, PART)
    assert (before["held"], books["held"], books["captured"]) == (PART, 0, PART)
    assert (paid.status, paid.amount_captured_minor) == (Status.SUCCEEDED, PART)
    assert (paid.amount_authorized_minor, paid.amount_minor) == (PART, AMOUNT_MINOR)
    assert transaction.amount_captured_minor == transaction.amount_approved_minor == PART
    await holds.consume(held)  # telling it again changes nothing
    assert await holds.intent(caller, held.id) == paid


async def test_more_than_the_part_is_refused_by_name_and_less_is_captured(
    holds: Holds, caller: Caller
) -> None:
    held = await _held(holds, caller)

    with pytest.raises(ParameterInvalid) as refused:
        await holds.capture(caller, held, PART + 1)
    paid = await holds.capture(caller, held, PART - 1)

    assert refused.value.param == "amountToCaptureInCents"
    assert str(PART) in refused.value.message
    assert paid.amount_captured_minor == (await holds.books(caller))["captured"] == PART - 1
    assert await holds.sent(caller) == ["0100", "0220"]


async def test_txn_svc_itself_captures_no_more_than_was_approved(
    holds: Holds, caller: Caller
) -> None:
    held = await _held(holds, caller)
    transaction = await holds.transaction(caller, held)

    with pytest.raises(AttemptInUnexpectedState):
        await holds.captures.capture(caller.merchant_id, transaction.id, PART + 1, 1)

    assert await holds.sent(caller) == ["0100"]


@pytest.mark.parametrize(("amount", "is_written"), [(PART + 1, False), (PART, True)])
async def test_the_database_lets_no_more_be_captured_than_was_approved(
    holds: Holds, caller: Caller, amount: int, *, is_written: bool
) -> None:
    held = await _held(holds, caller)
    transaction, [authorization] = await holds.charges.get(
        caller, held.id, str(held.latest_transaction_id)
    )
    capture: Attempt = replace(
        authorization,
        id=AttemptId(new_id("att", caller.merchant_id)),
        kind=AttemptKind.CAPTURE,
        status=AttemptStatus.RECORDED,
        amount_minor=amount,
        capture_number=1,
        advice_due=float(authorization.deadline),
        accepts_part=False,
    )

    assert await holds.records.records.submit(Step(transaction, capture)) is is_written


async def test_a_given_up_part_is_released_by_its_own_amount(holds: Holds, caller: Caller) -> None:
    held = await _held(holds, caller)

    await holds.process.handlers.cancel(caller, held.id, None)
    await holds.do_due()

    books, advice = await holds.books(caller), await _advised(holds, caller)
    canceled = await holds.intent(caller, held.id)
    assert (advice["amount"], advice["response_code"]) == (f"{PART:012d}", "00")
    assert (books["held"], books["reversed"]) == (0, True)
    assert (canceled.status, canceled.amount_authorized_minor) == (Status.CANCELED, PART)


async def test_a_part_that_lapses_is_released_by_its_own_amount(
    holds: Holds, caller: Caller
) -> None:
    held = await _held(holds, caller)

    holds.clock.move(RULES.capture_deadline_h * 3600 - 1)
    await holds.do_due()
    holds.clock.move(1)
    await holds.do_due()

    assert (await holds.intent(caller, held.id)).status is Status.CANCELED
    assert (await _advised(holds, caller))["amount"] == f"{PART:012d}"
    assert (await holds.books(caller))["reversed"]
