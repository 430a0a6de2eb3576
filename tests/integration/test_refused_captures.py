"""Captures that a network refuses: nothing is taken, and the merchant decides again."""

from __future__ import annotations

import asyncio

import pytest
from paymesh.intent.v1 import payment_intent_pb2
from psycopg.errors import UniqueViolation

from chassis.identity import Caller
from intent_svc.domain.payment_intent import Event, Failure, Outcome, PaymentIntent, Status
from intent_svc.handlers import Told
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import AMOUNT_MINOR, a_key
from tests.integration.txn_parts import NETWORK
from txn_svc.domain.attempt import Attempt, AttemptKind, AttemptStatus

pytestmark = pytest.mark.integration

REFUSAL = Failure("card_declined", "The card was declined.", "do_not_honor")
SECOND = """
insert into attempts
select (jsonb_populate_record(attempts, '{"id": "att_2", "capture_number": 2}')).* from attempts
where id = %(id)s
"""


async def _captures(holds: Holds, caller: Caller, intent: PaymentIntent) -> list[Attempt]:
    _, attempts = await holds.charges.get(caller, intent.id, str(intent.latest_transaction_id))
    return [attempt for attempt in attempts if attempt.kind is AttemptKind.CAPTURE]


async def _strays_are_taken() -> None:
    await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name() == "stray reply"))


async def test_a_refused_capture_is_an_answer_and_the_funds_stay_held(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "captures refused")

    answer = await holds.process.handlers.capture(caller, intent.id, 700, a_key())

    message = payment_intent_pb2.PaymentIntent.FromString(answer.response)
    now, books = await holds.intent(caller, intent.id), await holds.books(caller)
    [capture] = await _captures(holds, caller, intent)
    [_, _, _, processing, event] = await holds.process.events(intent.id)
    assert message.status == payment_intent_pb2.PaymentIntentStatusEnum.authorized
    assert (message.last_failure.code, message.last_failure.decline_code) == (
        "card_declined",
        "do_not_honor",
    )
    assert (now.status, now.last_failure, now.due) == (Status.AUTHORIZED, REFUSAL, intent.due)
    assert (books["held"], books["captured"], books["reversed"]) == (AMOUNT_MINOR, 0, False)
    assert (capture.status, capture.response_code, capture.advice_due) == (
        AttemptStatus.FAILED,
        "05",
        None,
    )
    assert (await holds.transaction(caller, intent)).amount_captured_minor == 0
    assert (processing.type, event.type) == ("payment.processing", "payment.capture_failed")
    assert event.payment_intent == message
    for _ in range(2):
        holds.clock.move(60)
        await holds.do_due()
    assert await holds.sent(caller) == ["0100", "0220"]


async def test_after_a_refusal_the_merchant_captures_again(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller, "first capture refused")

    await holds.capture(caller, intent, 700, a_key())
    replayed = await holds.other.handlers.capture(caller, intent.id, 700, a_key())
    paid = await holds.capture(caller, intent, 500, a_key("key-2"))
    for _ in range(2):  # events come after all of it, and twice
        await holds.consume(intent)
    await holds.take(intent, reversed(await holds.attempt_events(intent)))  # and old after new

    first, second = await _captures(holds, caller, intent)
    books, now = await holds.books(caller), await holds.intent(caller, intent.id)
    assert replayed.is_replay
    assert paid == now
    assert (now.status, now.amount_captured_minor, now.last_failure) == (
        Status.SUCCEEDED,
        500,
        None,
    )
    assert (books["captured"], books["held"]) == (500, 0)
    assert (first.status, first.capture_number, first.amount_minor) == (
        AttemptStatus.FAILED,
        1,
        700,
    )
    assert (second.status, second.capture_number) == (AttemptStatus.SUCCEEDED, 2)
    assert (first.rrn, first.stan != second.stan) == (second.rrn, True)
    assert await holds.sent(caller) == ["0100", "0220", "0220"]


async def test_after_a_refusal_the_merchant_gives_it_up(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller, "captures refused")
    await holds.capture(caller, intent)

    canceled = await holds.process.handlers.cancel(caller, intent.id, None)
    await holds.do_due()

    assert (canceled.intent.status, canceled.intent.last_failure) == (Status.CANCELED, None)
    assert (await holds.books(caller))["reversed"] is True
    assert await holds.sent(caller) == ["0100", "0220", "0420"]


async def test_a_refusal_that_could_not_be_told_comes_by_its_event(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "captures refused")
    holds.lifecycle.is_deaf = True

    untold = await holds.capture(caller, intent)
    await holds.consume(intent)

    told = await holds.intent(caller, intent.id)
    assert untold.status is Status.CAPTURING
    assert (told.status, told.last_failure) == (Status.AUTHORIZED, REFUSAL)
    [_, _, event] = (await holds.attempt_events(intent))[1:]
    assert (event.type, event.attempt.capture_number) == ("attempt.failed", 1)
    assert event.attempt.failure.decline_code == "do_not_honor"


async def test_what_comes_late_of_a_refused_capture_touches_no_later_one(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "first capture refused")
    name = str(intent.latest_transaction_id)
    await holds.capture(caller, intent, 700)
    [refused] = await _captures(holds, caller, intent)
    holds.authorizations.is_away = True
    second = await holds.capture(caller, intent, 500)

    await holds.consume(intent)
    handed_over_late = await holds.captures.capture(caller.merchant_id, name, 700, 1)
    for code in ("00", "05"):
        reply = {"t": "0230", "11": refused.stan, "37": refused.rrn, "39": code}
        holds.attempts.take_stray(NETWORK, reply)
        await _strays_are_taken()

    [noted] = await _captures(holds, caller, intent)
    assert handed_over_late == refused
    assert (noted.status, [message.response_code for message in noted.messages]) == (
        AttemptStatus.FAILED,
        [None, "05", "00", "05"],
    )
    assert await holds.intent(caller, intent.id) == second
    assert second.status is Status.CAPTURING
    assert await holds.sent(caller) == ["0100", "0220"]
    holds.authorizations.is_away = False
    holds.clock.move(60)
    await holds.do_due()
    assert (await holds.intent(caller, intent.id)).amount_captured_minor == 500


async def test_a_refusal_that_comes_when_nobody_waits_is_taken(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "capture unanswered")
    await holds.capture(caller, intent, 700)
    [unknown] = await _captures(holds, caller, intent)

    reply = {"t": "0230", "11": unknown.stan, "37": unknown.rrn, "39": "05"}
    holds.attempts.take_stray(NETWORK, {**reply, "11": "000000"})
    await _strays_are_taken()
    before = await holds.intent(caller, intent.id)
    holds.attempts.take_stray(NETWORK, reply)
    await _strays_are_taken()

    [capture] = await _captures(holds, caller, intent)
    assert before.status is Status.CAPTURING  # another's STAN says nothing about it
    assert (capture.status, capture.advice_due) == (AttemptStatus.FAILED, None)
    assert (await holds.intent(caller, intent.id)).status is Status.AUTHORIZED


async def test_a_refusal_after_the_end_of_the_hold_cancels(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller, "captures refused")
    holds.lifecycle.is_deaf = True
    await holds.capture(caller, intent)
    holds.clock.move((intent.capture_before or 0) - holds.clock.now().timestamp() + 1)

    await holds.consume(intent)
    await holds.do_due()

    assert (await holds.intent(caller, intent.id)).status is Status.CANCELED
    assert (await holds.books(caller))["reversed"] is True
    assert [name for _, name in await holds.process.history(intent.id)][3:] == [
        *("payment.processing", "payment.capture_failed", "payment.canceled"),
    ]


async def test_the_database_lets_held_funds_be_claimed_once(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)
    await holds.capture(caller, intent)
    [capture] = await _captures(holds, caller, intent)

    with pytest.raises(UniqueViolation) as refused:
        await holds.txn.database.fetch(SECOND, id=capture.id)

    assert refused.value.diag.constraint_name == "attempts_claimed_once"


async def test_an_outcome_names_the_capture_that_it_is_about(holds: Holds, caller: Caller) -> None:
    """What intent_svc is told without a number is about no capture."""
    intent = await holds.authorized(caller)
    holds.authorizations.is_away = True
    capturing = await holds.capture(caller, intent)

    told = Told(
        caller.merchant_id,
        intent.id,
        str(intent.latest_transaction_id),
        Outcome(Event.REFUSE_CAPTURE),
    )
    await holds.process.handlers.apply_outcome(told)

    assert await holds.intent(caller, intent.id) == capturing
