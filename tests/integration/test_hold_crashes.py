"""Held funds whatever dies between two steps, and whatever answer is lost or late."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from paymesh.intent.v1 import payment_intent_pb2

from chassis.errors import IdempotencyKeyInUse
from chassis.identity import Caller
from chassis.ids import AttemptId, new_id
from chassis.money import Money
from intent_svc.domain import payment_intent
from intent_svc.domain.payment_intent import (
    TRY_AGAIN_S,
    IntentInUnexpectedState,
    PaymentIntent,
    Status,
)
from intent_svc.store.items import Answer, Change
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import AMOUNT_MINOR, a_key
from tests.integration.network_parts import RULES, TIMEOUT_S, a_link
from tests.integration.txn_parts import APPROVED, NETWORK, PAN
from txn_svc.domain.attempt import Attempt, AttemptKind, AttemptStatus, Message
from txn_svc.domain.card import Pan
from txn_svc.domain.resolution import note
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.networks.messages import CaptureAdvice, Trace
from txn_svc.networks.pool import NetworkPool
from txn_svc.store.rows import Move, Step

pytestmark = pytest.mark.integration

LEASE_S = 90


def _status(answer: Answer) -> int:
    return payment_intent_pb2.PaymentIntent.FromString(answer.response).status


def _trace(attempt: Attempt) -> Trace:
    return Trace(attempt.transmitted_at, attempt.stan, attempt.rrn, attempt.terminal_id)


async def _recorded(holds: Holds, intent: PaymentIntent, caller: Caller, amount: int) -> Attempt:
    """Write down a capture as one does who dies before sending it."""
    begun = Change(
        caller.merchant_id,
        intent.id,
        caller.mode,
        partial(
            payment_intent.begin_capture, amount_minor=amount, now=holds.clock.now().timestamp()
        ),
        a_key(),
        is_answered_later=True,
    )
    await holds.process.store.changes.submit(begun)
    transaction, [held] = await holds.charges.get(
        caller, intent.id, str(intent.latest_transaction_id)
    )
    deadline = int(holds.clock.now().timestamp() + TIMEOUT_S) + 1
    capture = Attempt(
        id=AttemptId(new_id("att", caller.merchant_id)),
        merchant_id=held.merchant_id,
        transaction_id=held.transaction_id,
        payment_intent_id=held.payment_intent_id,
        network=held.network,
        amount_minor=amount,
        currency=held.currency,
        stan="900001",
        rrn=held.rrn,
        transmitted_at=held.transmitted_at,
        terminal_id=held.terminal_id,
        deadline=deadline,
        created=held.created,
        kind=AttemptKind.CAPTURE,
        advice_due=deadline,
        capture_number=1,
    )
    assert await holds.records.records.submit(Step(transaction, capture))
    return capture


async def _paid(holds: Holds, caller: Caller, intent: PaymentIntent, amount: int) -> None:
    """Check that both sides say that so much was collected, once."""
    books, now = await holds.books(caller), await holds.intent(caller, intent.id)
    assert (now.status, now.amount_captured_minor, now.due) == (Status.SUCCEEDED, amount, None)
    assert (books["captured"], books["held"], books["reversed"]) == (amount, 0, False)
    transaction = await holds.transaction(caller, intent)
    assert transaction.amount_captured_minor == amount


async def test_a_lost_answer_is_repeated_until_the_network_acknowledges(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "capture unanswered")

    answer = await holds.process.handlers.capture(caller, intent.id, 700, a_key())
    unknown = await holds.intent(caller, intent.id)
    with pytest.raises(IntentInUnexpectedState):
        await holds.process.handlers.cancel(caller, intent.id, a_key("key-2"))
    for _ in range(3):
        holds.clock.move(1)
        await holds.do_due()

    again = await holds.other.handlers.capture(caller, intent.id, 700, a_key())
    assert unknown.status is Status.CAPTURING
    assert _status(answer) == payment_intent_pb2.PaymentIntentStatusEnum.processing
    assert again == Answer(answer.response, is_replay=True)
    assert await holds.sent(caller) == ["0100", "0220", "0221", "0221"]
    assert [event.type for event in await holds.attempt_events(intent)][2:] == [
        "attempt.recorded",
        "attempt.timeout",
        "attempt.resolved",
    ]
    await _paid(holds, caller, intent, 700)


async def test_a_capture_that_was_not_handed_over_is_once_it_is_due(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    holds.authorizations.is_away = True

    answer = await holds.process.handlers.capture(caller, intent.id, 700, a_key())
    holds.authorizations.is_away = False
    await holds.do_due(holds.other)
    too_early = await holds.sent(caller)
    holds.clock.move(TRY_AGAIN_S)
    await holds.do_due(holds.other)

    assert _status(answer) == payment_intent_pb2.PaymentIntentStatusEnum.processing
    assert too_early == ["0100"]
    assert await holds.sent(caller) == ["0100", "0220"]
    await _paid(holds, caller, intent, 700)


async def test_a_capture_that_was_recorded_and_not_sent_is_sent_after_its_deadline(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    await _recorded(holds, intent, caller, 700)

    await holds.do_due()
    too_early = await holds.sent(caller)
    holds.clock.move(TIMEOUT_S + 1)
    await holds.do_due()

    assert too_early == ["0100"]
    assert await holds.sent(caller) == ["0100", "0221"]
    await _paid(holds, caller, intent, 700)


async def test_a_capture_that_was_sent_and_not_noted_is_sent_again_and_counts_once(
    holds: Holds, caller: Caller, hold_network: tuple[object, NetworkPool]
) -> None:
    intent = await holds.authorized(caller)
    capture = await _recorded(holds, intent, caller, 700)
    _, [held, _] = await holds.charges.get(caller, intent.id, str(intent.latest_transaction_id))
    advice = CaptureAdvice(
        _trace(capture),
        _trace(held),
        Money(700, "usd"),
        Pan(PAN),
        held.approval_code,
        is_repeat=False,
    )
    with hold_network[1].reserve() as reservation:
        code = await reservation.capture(advice)

    holds.clock.move(TIMEOUT_S + 1)
    await holds.do_due()

    assert code == "00"
    assert await holds.sent(caller) == ["0100", "0220", "0221"]
    await _paid(holds, caller, intent, 700)


async def test_a_note_that_was_decided_before_the_acknowledgment_takes_nothing_back(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    await _recorded(holds, intent, caller, 700)
    transaction, [held, _] = await holds.charges.get(
        caller, intent.id, str(intent.latest_transaction_id)
    )

    holds.clock.move(TIMEOUT_S + 1)
    await holds.do_due()
    late = Move(held, transaction, note(held, Message("0110", is_sent=False, at=1)))
    is_noted = await holds.txn.store.moves.submit(late)

    assert is_noted
    await _paid(holds, caller, intent, 700)


async def test_a_repeated_call_goes_on_where_the_first_one_died(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    await _recorded(holds, intent, caller, 700)

    with pytest.raises(IdempotencyKeyInUse):  # the first one may still be waiting
        await holds.other.handlers.capture(caller, intent.id, 700, a_key())
    holds.clock.move(TIMEOUT_S + 1.1)
    pending = await holds.other.handlers.capture(caller, intent.id, 700, a_key())
    await holds.do_due()
    again = await holds.process.handlers.capture(caller, intent.id, 700, a_key())

    assert not pending.is_replay
    assert _status(pending) == payment_intent_pb2.PaymentIntentStatusEnum.processing
    assert again == Answer(pending.response, is_replay=True)
    await _paid(holds, caller, intent, 700)


async def test_an_outcome_that_was_not_told_comes_as_an_event(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)
    holds.lifecycle.is_deaf = True

    untold = await holds.capture(caller, intent, 700)
    await holds.consume(intent)
    await holds.consume(intent)

    assert untold.status is Status.CAPTURING
    await _paid(holds, caller, intent, 700)
    assert len(await holds.process.history(intent.id)) == 5


async def test_an_authorization_that_was_not_told_comes_as_an_event(
    holds: Holds, caller: Caller
) -> None:
    holds.lifecycle.is_deaf = True
    intent = await holds.authorized(caller)
    await holds.consume(intent)
    holds.lifecycle.is_deaf = False

    told = await holds.intent(caller, intent.id)
    captured = await holds.capture(caller, told)

    assert intent.status is Status.PROCESSING
    assert told.status is Status.AUTHORIZED
    assert captured.status is Status.SUCCEEDED


@pytest.mark.parametrize("step", ["capturing", "captured", "canceled"])
async def test_an_authorization_told_late_moves_nothing_back(
    holds: Holds, caller: Caller, step: str
) -> None:
    intent = await holds.authorized(caller)
    holds.authorizations.is_away = step == "capturing"
    if step == "canceled":
        await holds.process.handlers.cancel(caller, intent.id, None)
    else:
        await holds.capture(caller, intent)
    before = await holds.intent(caller, intent.id)

    await holds.consume(intent)

    assert await holds.intent(caller, intent.id) == before


async def test_a_release_that_was_not_handed_over_is_once_it_is_due(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    holds.authorizations.is_away = True

    canceled = await holds.process.handlers.cancel(caller, intent.id, a_key())
    held = (await holds.books(caller))["held"]
    holds.authorizations.is_away = False
    holds.clock.move(TRY_AGAIN_S)
    await holds.do_due(holds.other)

    assert canceled.intent.status is Status.CANCELED
    assert held == AMOUNT_MINOR
    assert (await holds.books(caller))["reversed"] is True
    assert (await holds.intent(caller, intent.id)).due is None


async def test_who_dies_with_a_claim_loses_nothing(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)
    capture = await _recorded(holds, intent, caller, 700)
    holds.clock.move(TIMEOUT_S + 1)

    claimed = [each.id for _, each in await holds.captures.claim_captures(100)]
    at_once = [each.id for _, each in await holds.captures.claim_captures(100)]
    holds.clock.move(LEASE_S + 1)
    await holds.do_due()

    assert capture.id in claimed
    assert at_once == []
    await _paid(holds, caller, intent, 700)


async def test_an_unknown_authorization_that_turns_out_approved_is_held(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "answer lost")
    [attempt] = await holds.txn.attempts(caller)

    await holds.attempts.resolve(caller.merchant_id, str(attempt["id"]), lambda _: APPROVED)
    held = await holds.intent(caller, intent.id)
    captured = await holds.capture(caller, held, 700)

    assert intent.status is Status.PROCESSING
    assert held.status is Status.AUTHORIZED
    assert captured.amount_captured_minor == 700


async def test_an_acknowledgment_that_comes_when_nobody_waits_is_taken(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    capture = await _recorded(holds, intent, caller, 700)

    for code in ("25", "00", "00"):
        reply = {"t": "0230", "11": capture.stan, "37": capture.rrn, "39": code}
        holds.attempts.take_stray(NETWORK, reply)
        await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name() == "stray reply"))

    _, attempts = await holds.charges.get(caller, intent.id, str(intent.latest_transaction_id))
    assert [message.response_code for message in attempts[1].messages] == ["25", "00", "00"]
    assert attempts[1].status is AttemptStatus.SUCCEEDED
    assert attempts[0].messages[-1].mti == "0110"
    now = await holds.intent(caller, intent.id)
    assert (now.status, now.amount_captured_minor) == (Status.SUCCEEDED, 700)


async def test_a_capture_whose_network_is_out_of_reach_is_overdue_too(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    capture = await _recorded(holds, intent, caller, 700)
    _, [held, _] = await holds.charges.get(caller, intent.id, str(intent.latest_transaction_id))
    away = NetworkPool(NETWORK, a_link(NETWORK), RULES)
    captures = CaptureHandlers(
        holds.txn.store, holds.records, holds.attempts, {NETWORK: away}, holds.clock
    )

    for _ in range(len(RULES.reversal.repeat_s) + 1):
        await captures.send_again(held, capture)
    overdue = (await holds.attempt_events(intent))[-1]
    holds.clock.move(LEASE_S)
    await holds.do_due()

    assert (overdue.type, overdue.attempt.HasField("overdue_since")) == ("attempt.timeout", True)
    assert await holds.sent(caller) == ["0100", "0221"]
    assert not (await holds.attempt_events(intent))[-1].attempt.HasField("overdue_since")
    await _paid(holds, caller, intent, 700)
