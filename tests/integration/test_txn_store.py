"""Transactions and attempts on a real PostgreSQL: each step is written once, whoever writes it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from psycopg import IntegrityError

from chassis.database import Database
from chassis.errors import IdempotencyKeyInUse, ResourceMissing
from chassis.identity import Caller
from chassis.paging import Page
from tests.integration.intent_parts import a_caller
from tests.integration.races import race
from tests.integration.txn_parts import (
    APPROVED,
    DECLINED,
    HOLD_KEY,
    HOLD_TRANSACTION,
    TxnProcess,
    a_beginning,
    a_step,
    a_transaction,
    after,
)
from txn_svc.domain.attempt import AttemptStatus
from txn_svc.domain.transaction import NO_ANSWER, Outcome, TransactionStatus
from txn_svc.store.charges import Known
from txn_svc.store.rows import Move

pytestmark = pytest.mark.integration

RECORDED = (1, "attempt.recorded")


@pytest.fixture
def process(txn_databases: list[Database]) -> TxnProcess:
    return TxnProcess(txn_databases[0])


@pytest.fixture
def other(txn_databases: list[Database]) -> TxnProcess:
    return TxnProcess(txn_databases[1])


async def test_a_key_begins_one_transaction_and_is_known_from_then_on(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    transaction = await process.begun(caller)

    again = [
        await one.store.beginnings.submit(a_beginning(a_transaction(caller), body=b"2"))
        for one in (process, other)
    ]

    assert again == [Known(transaction, b"1" * 32, None)] * 2
    assert await process.store.by_key.submit((caller.merchant_id, "test", "key-1")) == again[0]
    assert await process.store.by_key.submit((caller.merchant_id, "test", "key-2")) is None
    assert await process.count(caller) == 1
    assert await process.history(transaction.payment_intent_id) == []


async def test_fifty_beginnings_at_once_with_one_key_make_one_transaction(
    process: TxnProcess, caller: Caller
) -> None:
    results = await asyncio.gather(
        *(process.store.beginnings.submit(a_beginning(a_transaction(caller))) for _ in range(50))
    )

    assert results.count(None) == 1
    assert len({known.transaction.id for known in results if known is not None}) == 1
    assert await process.count(caller) == 1


async def test_two_processes_with_one_key_make_one_transaction(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    wishes = [a_transaction(caller) for _ in range(2)]

    results = await race(
        process.database,
        HOLD_KEY,
        process.store.beginnings.submit(a_beginning(wishes[0])),
        other.store.beginnings.submit(a_beginning(wishes[1])),
        merchant_id=caller.merchant_id,
        key="key-1",
    )

    begun = wishes[results.index(None)]
    assert Known(begun, b"1" * 32, None) in results
    assert await process.count(caller) == 1


async def test_a_key_belongs_to_one_merchant_and_mode(process: TxnProcess) -> None:
    mine = a_caller()
    callers = [mine, a_caller("live", mine.merchant_id), a_caller()]

    results = [
        await process.store.beginnings.submit(a_beginning(a_transaction(one))) for one in callers
    ]

    assert results == [None, None, None]


async def test_a_bad_beginning_fails_alone(process: TxnProcess, caller: Caller) -> None:
    wishes = [a_transaction(caller) for _ in range(3)]
    wishes[1] = replace(wishes[1], card=replace(wishes[1].card, last4="424"))

    results = await asyncio.gather(
        *(
            process.store.beginnings.submit(a_beginning(wish, f"key-{number}"))
            for number, wish in enumerate(wishes)
        ),
        return_exceptions=True,
    )

    assert results[::2] == [None, None]
    assert isinstance(results[1], IntegrityError)
    assert await process.count(caller) == 2


async def test_an_attempt_is_recorded_with_what_will_be_sent(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    step = await process.recorded(caller)

    known = await other.store.by_key.submit((caller.merchant_id, "test", "key-1"))
    [event] = await process.events(step.transaction.payment_intent_id)
    assert known == Known(step.transaction, b"1" * 32, step.attempt)
    assert (event.version, event.type) == RECORDED
    assert event.attempt.rrn == step.attempt.rrn
    assert (event.attempt.amount_in_cents, event.attempt.currency) == (1099, "usd")


async def test_a_transaction_gets_one_attempt(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    transaction = await process.begun(caller)
    steps = [a_step(transaction) for _ in range(3)]

    results = await race(
        process.database,
        HOLD_TRANSACTION,
        process.store.records.submit(steps[0]),
        other.store.records.submit(steps[1]),
        id=transaction.id,
    )
    with pytest.raises(IdempotencyKeyInUse):
        await process.store.records.submit(steps[2])

    winner = results.index(None)
    assert isinstance(results[1 - winner], IdempotencyKeyInUse)
    assert [row["id"] for row in await process.attempts(caller)] == [steps[winner].attempt.id]
    assert await process.history(transaction.payment_intent_id) == [RECORDED]


async def test_nothing_is_recorded_for_what_was_never_begun(
    process: TxnProcess, caller: Caller
) -> None:
    step = a_step(a_transaction(caller))

    with pytest.raises(IdempotencyKeyInUse):
        await process.store.records.submit(step)

    assert await process.attempts(caller) == []
    assert await process.history(step.transaction.payment_intent_id) == []


@pytest.mark.parametrize("outcome", [APPROVED, DECLINED, NO_ANSWER], ids=lambda o: str(o.event))
async def test_an_outcome_is_written_once(
    process: TxnProcess, other: TxnProcess, caller: Caller, outcome: Outcome
) -> None:
    step = after(await process.recorded(caller), outcome)

    answers = [await one.store.moves.submit(step) for one in (process, process, other)]

    owned = (caller.merchant_id, step.transaction.id)
    events = await process.events(step.transaction.payment_intent_id)
    assert answers == [True, False, False]
    assert (await other.store.reads.submit(owned))[0] == step.transaction
    assert [row["status"] for row in await process.attempts(caller)] == [step.attempt.status]
    assert [event.version for event in events] == [1, 2]
    assert events[1].type == f"attempt.{step.attempt.status}"
    assert events[1].attempt.response_code == (outcome.response_code or "")
    assert events[1].transaction.HasField("failure") is (outcome is DECLINED)


async def test_of_contradicting_outcomes_at_once_the_first_stays(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    step = await process.recorded(caller)

    answers = await race(
        process.database,
        "update attempts set status = status where id = :id",
        process.store.moves.submit(after(step, APPROVED)),
        other.store.moves.submit(after(step, NO_ANSWER)),
        id=step.attempt.id,
    )

    found, *_ = await process.store.reads.submit((caller.merchant_id, step.transaction.id))
    assert answers == [True, False]
    assert found == after(step, APPROVED).transaction
    assert await process.history(step.transaction.payment_intent_id) == [
        RECORDED,
        (2, "attempt.succeeded"),
    ]


@pytest.mark.parametrize("outcome", [APPROVED, DECLINED], ids=lambda o: str(o.event))
async def test_an_unknown_outcome_can_become_known_and_the_first_answer_stays(
    process: TxnProcess, caller: Caller, outcome: Outcome
) -> None:
    unknown = await process.settled(caller, NO_ANSWER)

    resolved = after(unknown, outcome)
    answer = await process.store.moves.submit(resolved)

    found, *_ = await process.store.reads.submit((caller.merchant_id, unknown.transaction.id))
    assert answer is True
    assert found == resolved.transaction
    assert found.as_first_answered().status is TransactionStatus.PENDING_VERIFICATION
    assert await process.history(unknown.transaction.payment_intent_id) == [
        RECORDED,
        (2, "attempt.timeout"),
        (3, "attempt.resolved"),
    ]


async def test_a_final_outcome_never_changes(process: TxnProcess, caller: Caller) -> None:
    paid = await process.settled(caller, APPROVED)
    forged = Move(
        paid.attempt,
        paid.transaction,
        replace(paid.attempt, status=AttemptStatus.REVERSED, version=paid.attempt.version + 1),
    )

    answer = await process.store.moves.submit(forged)

    assert answer is False
    assert [row["status"] for row in await process.attempts(caller)] == ["succeeded"]
    assert len(await process.history(paid.transaction.payment_intent_id)) == 2


async def test_a_bad_outcome_fails_alone(process: TxnProcess, caller: Caller) -> None:
    steps = [await process.recorded(caller, f"key-{number}") for number in range(3)]
    outcomes = [APPROVED, replace(DECLINED, failure=None), APPROVED]

    results = await asyncio.gather(
        *(
            process.store.moves.submit(after(step, outcome))
            for step, outcome in zip(steps, outcomes, strict=True)
        ),
        return_exceptions=True,
    )

    histories = [await process.history(step.transaction.payment_intent_id) for step in steps]
    assert results[::2] == [True, True]
    assert isinstance(results[1], IntegrityError)
    assert [len(history) for history in histories] == [2, 1, 2]


async def test_only_what_was_never_recorded_can_be_abandoned(
    process: TxnProcess, caller: Caller
) -> None:
    begun = await process.begun(caller, "key-1")
    recorded = await process.recorded(caller, "key-2")
    unknown = await process.settled(caller, NO_ANSWER, "key-3")
    kept = [recorded.transaction, unknown.transaction]

    for transaction in (begun, *kept):
        await process.store.abandonments.submit((caller.merchant_id, transaction.id))

    with pytest.raises(ResourceMissing):
        await process.store.reads.submit((caller.merchant_id, begun.id))
    for transaction in kept:
        found, *_ = await process.store.reads.submit((caller.merchant_id, transaction.id))
        assert found == transaction
    assert await process.begun(caller, "key-1") != begun


@pytest.mark.parametrize("is_abandoned_first", [True, False])
async def test_of_abandoning_and_recording_at_once_the_first_wins(
    process: TxnProcess, other: TxnProcess, caller: Caller, *, is_abandoned_first: bool
) -> None:
    transaction = await process.begun(caller)
    calls = [
        process.store.abandonments.submit((caller.merchant_id, transaction.id)),
        other.store.records.submit(a_step(transaction)),
    ]

    results = await race(
        process.database,
        HOLD_TRANSACTION,
        *(calls if is_abandoned_first else calls[::-1]),
        id=transaction.id,
    )

    assert results[0] is None
    if is_abandoned_first:
        assert isinstance(results[1], IdempotencyKeyInUse)
    else:
        assert results[1] is None
    assert await process.count(caller) == int(not is_abandoned_first)
    assert len(await process.attempts(caller)) == int(not is_abandoned_first)


async def test_reads_answer_each_caller_for_himself(process: TxnProcess, caller: Caller) -> None:
    transaction = await process.begun(caller)
    stranger = a_caller()

    results = await asyncio.gather(
        process.store.reads.submit((caller.merchant_id, transaction.id)),
        process.store.reads.submit((stranger.merchant_id, transaction.id)),
        process.store.reads.submit((caller.merchant_id, a_transaction(caller).id)),
        return_exceptions=True,
    )

    assert results[0] == (transaction, None, ())
    assert [type(result) for result in results[1:]] == [ResourceMissing] * 2


async def test_pages_go_through_an_intent_s_charges_in_both_directions(
    process: TxnProcess, caller: Caller
) -> None:
    intent_id = a_transaction(caller).payment_intent_id
    steps = [a_step(a_transaction(caller, intent_id)) for _ in range(5)]
    for number, step in enumerate(steps):
        begun = replace(step.transaction, amount_minor=None, currency=None)
        await process.store.beginnings.submit(a_beginning(begun, f"key-{number}"))
        await process.store.records.submit(step)
    newest_first = sorted((step.transaction.id for step in steps), reverse=True)

    async def page(after: str | None = None, before: str | None = None) -> tuple[list[str], bool]:
        listed, has_more = await process.store.page(caller, intent_id, Page(2, after, before))
        return [transaction.id for transaction in listed], has_more

    assert await page() == (newest_first[:2], True)
    assert await page(after=newest_first[1]) == (newest_first[2:4], True)
    assert await page(after=newest_first[3]) == (newest_first[4:], False)
    assert await page(before=newest_first[4]) == (newest_first[2:4], True)
    assert await page(before=newest_first[2]) == (newest_first[:2], False)


async def test_a_page_holds_only_what_was_recorded_for_the_own_intent(
    process: TxnProcess, caller: Caller
) -> None:
    step = await process.recorded(caller)
    intent_id = step.transaction.payment_intent_id
    begun = a_beginning(a_transaction(caller, intent_id), "key-2")
    await process.store.beginnings.submit(begun)
    await process.recorded(caller, "key-3")

    own, live, strange = [
        await process.store.page(one, intent_id, Page(10))
        for one in (caller, a_caller("live", caller.merchant_id), a_caller())
    ]

    assert own == ([step.transaction], False)
    assert live == strange == ([], False)
