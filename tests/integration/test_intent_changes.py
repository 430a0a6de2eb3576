"""Moves of payment intents on a real PostgreSQL: one of several rivals wins, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import cast

import pytest
from paymesh.intent.v1 import payment_intent_pb2
from psycopg.errors import CheckViolation

from chassis.database import Database
from chassis.errors import IdempotencyKeyInUse, IdempotencyKeyReused, Overloaded
from chassis.identity import Caller
from chassis.ids import new_id
from intent_svc.domain import payment_intent
from intent_svc.domain.payment_intent import (
    OUTCOMES,
    Event,
    IntentInUnexpectedState,
    PaymentIntent,
    Status,
)
from intent_svc.messages import payment_intent_message
from intent_svc.store.items import Change, Changed
from tests.fakes import FakeClock
from tests.integration.intent_parts import (
    AMOUNT_MINOR,
    DECLINED,
    HOLD_INTENT,
    HOLD_KEY,
    IntentProcess,
    RestlessDatabase,
    a_key,
    a_told,
    a_transaction_id,
)
from tests.integration.races import race

pytestmark = pytest.mark.integration

CREATED, PROCESSING = (1, "payment.created"), (2, "payment.processing")


@pytest.fixture
def process(intent_processes: list[IntentProcess]) -> IntentProcess:
    return intent_processes[0]


@pytest.fixture
def other(intent_processes: list[IntentProcess]) -> IntentProcess:
    return intent_processes[1]


@pytest.mark.parametrize("rivals", [1, 2], ids=["one process", "two processes"])
async def test_of_transactions_that_begin_at_once_exactly_one_holds_the_intent(
    intent_processes: list[IntentProcess], caller: Caller, rivals: int
) -> None:
    process, other = intent_processes[0], intent_processes[rivals - 1]
    intent = await process.intent(caller)
    mine, theirs = a_transaction_id(caller), a_transaction_id(caller)

    begins = (process.begin(intent, mine), other.begin(intent, theirs))
    winner, loser = await (
        asyncio.gather(*begins, return_exceptions=True)
        if rivals == 1
        else race(process.database, HOLD_INTENT, *begins, id=intent.id)
    )

    assert isinstance(winner, PaymentIntent)
    assert (winner.status, winner.latest_transaction_id) == (Status.PROCESSING, mine)
    assert isinstance(loser, IntentInUnexpectedState)
    for one in intent_processes:
        assert await one.handlers.get(caller, intent.id) == winner
    assert await process.history(intent.id) == [CREATED, PROCESSING]


async def test_the_transaction_that_holds_an_intent_may_begin_again(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    intent, holder = await process.intent(caller), a_transaction_id(caller)

    first = await process.begin(intent, holder)
    at_once = await asyncio.gather(*(process.begin(intent, holder) for _ in range(3)))
    elsewhere = await other.begin(intent, holder)

    assert first.latest_transaction_id == holder
    assert [*at_once, elsewhere] == [first] * 4
    assert await process.history(intent.id) == [CREATED, PROCESSING]


@pytest.mark.parametrize(("event", "status"), list(OUTCOMES.items()))
async def test_an_outcome_told_twice_is_written_once(
    process: IntentProcess,
    other: IntentProcess,
    caller: Caller,
    event: Event,
    status: Status,
) -> None:
    holder = a_transaction_id(caller)
    is_manual = event is Event.AUTHORIZE
    intent = await process.intent(caller, Status.PROCESSING, holder, is_manual=is_manual)

    told = await race(
        process.database,
        HOLD_INTENT,
        *(one.handlers.apply_outcome(a_told(intent, holder, event)) for one in (process, other)),
        id=intent.id,
    )
    again = await process.handlers.apply_outcome(a_told(intent, holder, event))

    assert told == [again, again]
    assert again.status is status
    assert again.amount_captured_minor == (AMOUNT_MINOR if event is Event.SUCCEED else 0)
    assert again.last_failure == (DECLINED if event is Event.FAIL else None)
    assert await other.handlers.get(caller, intent.id) == again
    assert await process.history(intent.id) == [CREATED, PROCESSING, (3, f"payment.{status}")]


@pytest.mark.parametrize("status", list(Status))
async def test_a_transaction_that_does_not_hold_an_intent_moves_nothing(
    process: IntentProcess, caller: Caller, status: Status
) -> None:
    intent = await process.intent(caller, status)
    history = await process.history(intent.id)

    results = await asyncio.gather(
        *(
            process.handlers.apply_outcome(a_told(intent, a_transaction_id(caller), event))
            for event in OUTCOMES
        ),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [IntentInUnexpectedState] * 3
    assert await process.handlers.get(caller, intent.id) == intent
    assert await process.history(intent.id) == history


@pytest.mark.parametrize(
    ("status", "otherwise"),
    [(Status.SUCCEEDED, Event.FAIL), (Status.FAILED, Event.SUCCEED)],
)
async def test_an_outcome_told_otherwise_later_changes_nothing(
    process: IntentProcess, other: IntentProcess, caller: Caller, status: Status, otherwise: Event
) -> None:
    holder = a_transaction_id(caller)
    intent = await process.intent(caller, status, holder)

    for one in (process, other):
        with pytest.raises(IntentInUnexpectedState):
            await one.handlers.apply_outcome(a_told(intent, holder, otherwise))

    assert await other.handlers.get(caller, intent.id) == intent
    assert len(await process.history(intent.id)) == intent.version == 3


async def test_of_contradicting_outcomes_at_once_the_first_stays(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    holder = a_transaction_id(caller)
    intent = await process.intent(caller, Status.PROCESSING, holder)
    event_id = new_id("evt", caller.merchant_id)

    first, second = await race(
        process.database,
        HOLD_INTENT,
        process.handlers.apply_outcome(a_told(intent, holder, Event.SUCCEED)),
        other.handlers.apply_outcome(a_told(intent, holder, Event.FAIL), consumed_id=event_id),
        id=intent.id,
    )

    assert isinstance(second, IntentInUnexpectedState)
    assert await process.handlers.get(caller, intent.id) == first
    assert await process.history(intent.id) == [CREATED, PROCESSING, (3, "payment.succeeded")]
    assert await process.consumed(event_id) == []


@pytest.mark.parametrize("rivals", [1, 2], ids=["one process", "two processes"])
@pytest.mark.parametrize("is_cancel_first", [True, False])
async def test_of_a_cancel_and_a_begin_at_once_the_first_wins(
    intent_processes: list[IntentProcess], caller: Caller, *, rivals: int, is_cancel_first: bool
) -> None:
    process, other = intent_processes[0], intent_processes[rivals - 1]
    intent = await process.intent(caller)
    calls: list[Coroutine[object, object, object]] = [
        process.handlers.cancel(caller, intent.id, a_key()),
        other.begin(intent, a_transaction_id(caller)),
    ]
    calls = calls if is_cancel_first else calls[::-1]

    first, second = await (
        asyncio.gather(*calls, return_exceptions=True)
        if rivals == 1
        else race(process.database, HOLD_INTENT, *calls, id=intent.id)
    )

    status = Status.CANCELED if is_cancel_first else Status.PROCESSING
    assert isinstance(first, Changed if is_cancel_first else PaymentIntent)
    assert isinstance(second, IntentInUnexpectedState)
    assert (await other.handlers.get(caller, intent.id)).status is status
    assert await process.history(intent.id) == [CREATED, (2, f"payment.{status}")]
    assert await process.count(caller, "idempotency_keys") == int(is_cancel_first)


async def test_a_cancel_s_key_gets_its_first_answer_again_and_no_other_request(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    intent, second = await process.intent(caller), await process.intent(caller)

    first = await process.handlers.cancel(caller, intent.id, a_key())
    again = await other.handlers.cancel(caller, intent.id, a_key())
    with pytest.raises(IdempotencyKeyReused):
        await other.handlers.cancel(caller, second.id, a_key(body="body-2"))

    assert (first.replay, first.intent.status) == (None, Status.CANCELED)
    assert again.replay is not None
    message = payment_intent_pb2.PaymentIntent.FromString(again.replay)
    assert message == payment_intent_message(first.intent)
    assert await process.history(intent.id) == [CREATED, (2, "payment.canceled")]
    assert await process.history(second.id) == [CREATED]


async def test_many_cancels_of_one_intent_at_once_are_all_answered(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    intent = await process.intent(caller)

    results = await asyncio.gather(
        *(
            one.handlers.cancel(caller, intent.id, a_key(f"{name}-{number}"))
            for number in range(20)
            for name, one in (("one", process), ("other", other))
        )
    )

    assert {result.intent.status for result in results} == {Status.CANCELED}
    assert {result.replay for result in results} == {None}
    assert await process.count(caller, "idempotency_keys") == 40
    assert await process.history(intent.id) == [CREATED, (2, "payment.canceled")]


async def test_a_change_that_others_always_forestall_is_given_up(
    process: IntentProcess, caller: Caller
) -> None:
    unlucky = IntentProcess(cast("Database", RestlessDatabase(process.database)), FakeClock())
    intent = await process.intent(caller)

    with pytest.raises(Overloaded):
        await unlucky.handlers.cancel(caller, intent.id, a_key())

    assert (await process.handlers.get(caller, intent.id)).status is Status.CREATED
    assert await process.count(caller, "idempotency_keys") == 0


async def test_one_key_for_cancels_of_two_intents_at_once_cancels_one(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    intents = [await process.intent(caller) for _ in range(2)]

    results = await race(
        process.database,
        HOLD_KEY,
        process.handlers.cancel(caller, intents[0].id, a_key(body="body-1")),
        other.handlers.cancel(caller, intents[1].id, a_key(body="body-2")),
        merchant_id=caller.merchant_id,
        key=a_key().key,
    )

    [canceled] = [result.intent for result in results if isinstance(result, Changed)]
    [refused] = [result for result in results if not isinstance(result, Changed)]
    assert isinstance(refused, IdempotencyKeyInUse | IdempotencyKeyReused)
    [untouched] = [intent for intent in intents if intent.id != canceled.id]
    assert await process.handlers.get(caller, canceled.id) == canceled
    assert await process.handlers.get(caller, untouched.id) == untouched
    assert await process.history(untouched.id) == [CREATED]


async def test_a_bad_outcome_fails_alone(process: IntentProcess, caller: Caller) -> None:
    holder = a_transaction_id(caller)
    intents = [await process.intent(caller, Status.PROCESSING, holder) for _ in range(3)]
    amounts = [AMOUNT_MINOR, AMOUNT_MINOR + 1, AMOUNT_MINOR]

    results = await asyncio.gather(
        *(
            process.handlers.apply_outcome(a_told(intent, holder, Event.SUCCEED, amount))
            for intent, amount in zip(intents, amounts, strict=True)
        ),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [PaymentIntent, CheckViolation, PaymentIntent]
    assert await process.handlers.get(caller, intents[1].id) == intents[1]
    assert [len(await process.history(intent.id)) for intent in intents] == [3, 2, 3]


async def test_a_bad_change_with_a_key_fails_alone_and_uses_no_key(
    process: IntentProcess, caller: Caller
) -> None:
    intents = [await process.intent(caller) for _ in range(3)]
    cancel = partial(payment_intent.cancel, now=0)
    decisions: list[Callable[[PaymentIntent], PaymentIntent]] = [
        cancel,
        lambda intent: replace(intent, version=0),
        cancel,
    ]

    results = await asyncio.gather(
        *(
            process.store.changes.submit(
                Change(caller.merchant_id, intent.id, caller.mode, decide, a_key(f"key-{number}"))
            )
            for number, (intent, decide) in enumerate(zip(intents, decisions, strict=True))
        ),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Changed, CheckViolation, Changed]
    assert await process.handlers.get(caller, intents[1].id) == intents[1]
    assert await process.count(caller, "idempotency_keys") == 2


async def test_each_change_is_told_by_one_event_with_the_next_version(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    first, second = a_transaction_id(caller), a_transaction_id(caller)
    intent = await process.intent(caller, Status.FAILED, first)

    await other.begin(intent, second)
    with pytest.raises(IntentInUnexpectedState):
        await process.begin(intent, first)
    with pytest.raises(IntentInUnexpectedState):
        await process.handlers.cancel(caller, intent.id, a_key())
    paid = await process.handlers.apply_outcome(a_told(intent, second, Event.SUCCEED))

    events = await process.events(intent.id)
    names = ["created", "processing", "failed", "processing", "succeeded"]
    assert [event.type for event in events] == [f"payment.{name}" for name in names]
    assert [event.version for event in events] == [1, 2, 3, 4, 5]
    assert events[2].payment_intent.last_failure.code == DECLINED.code
    assert not events[3].payment_intent.HasField("last_failure")
    assert events[4].payment_intent == payment_intent_message(paid)
    assert {event.merchant_id for event in events} == {caller.merchant_id}
    assert await process.count(caller, "idempotency_keys") == 0


async def test_an_event_is_noted_with_the_change_it_asked_for(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    holder = a_transaction_id(caller)
    intent = await process.intent(caller, Status.PROCESSING, holder)
    event_id, refused_id = (new_id("evt", caller.merchant_id) for _ in range(2))

    for one in (process, other):
        await one.handlers.apply_outcome(
            a_told(intent, holder, Event.SUCCEED), consumed_id=event_id
        )
    with pytest.raises(IntentInUnexpectedState):
        await process.handlers.apply_outcome(
            a_told(intent, holder, Event.FAIL), consumed_id=refused_id
        )

    assert await process.consumed(event_id, refused_id) == [event_id]
    assert len(await process.history(intent.id)) == 3


async def test_two_processes_told_the_same_in_opposite_order_don_t_block_each_other(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    holder = a_transaction_id(caller)
    intents = await asyncio.gather(
        *(process.intent(caller, Status.PROCESSING, holder) for _ in range(100))
    )

    async def tell_all(one: IntentProcess, order: list[PaymentIntent]) -> list[PaymentIntent]:
        return await asyncio.gather(
            *(one.handlers.apply_outcome(a_told(intent, holder, Event.SUCCEED)) for intent in order)
        )

    first, second = await race(
        process.database,
        "update payment_intents set version = version where id = :id",
        tell_all(process, intents),
        tell_all(other, intents[::-1]),
        id=intents[50].id,
    )

    assert isinstance(first, list), first
    assert isinstance(second, list), second
    assert first == second[::-1]
    assert {intent.version for intent in first} == {3}
