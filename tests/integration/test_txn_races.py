"""Processes of txn_svc that write the same sets of transactions at the same time."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from chassis.database import Database
from chassis.errors import IdempotencyKeyInUse
from chassis.identity import Caller
from tests.integration.owner import as_owner
from tests.integration.races import race, until_waiting
from tests.integration.txn_parts import (
    HOLD_KEY,
    HOLD_TRANSACTION,
    TxnProcess,
    a_beginning,
    a_step,
    a_transaction,
    after,
)
from txn_svc.domain.transaction import NO_ANSWER, Transaction
from txn_svc.store.charges import Known
from txn_svc.store.rows import Step

pytestmark = pytest.mark.integration

COUNT = 100


@pytest.fixture
def process(txn_databases: list[Database]) -> TxnProcess:
    return TxnProcess(txn_databases[0])


@pytest.fixture
def other(txn_databases: list[Database]) -> TxnProcess:
    return TxnProcess(txn_databases[1])


async def test_the_same_keys_in_opposite_order_don_t_block_each_other(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    keys = [f"key-{number}" for number in range(COUNT)]

    async def begin_all(one: TxnProcess, order: list[str]) -> list[Known | None]:
        return await asyncio.gather(
            *(one.store.beginnings.submit(a_beginning(a_transaction(caller), key)) for key in order)
        )

    results = await race(
        process.database,
        HOLD_KEY,
        begin_all(process, keys),
        begin_all(other, keys[::-1]),
        merchant_id=caller.merchant_id,
        key=keys[COUNT // 2],
    )

    answers = [answer for result in results if isinstance(result, list) for answer in result]
    assert len(answers) == 2 * COUNT, results
    assert answers.count(None) == COUNT
    assert await process.count(caller) == COUNT


async def test_the_same_records_in_opposite_order_don_t_block_each_other(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    begun = [await process.begun(caller, f"key-{number}") for number in range(COUNT)]
    await as_owner(process.database, "analyze transactions")

    async def record_all(one: TxnProcess, order: list[Transaction]) -> list[BaseException | None]:
        return await asyncio.gather(
            *(one.store.records.submit(a_step(each)) for each in order), return_exceptions=True
        )

    results = await race(
        process.database,
        HOLD_TRANSACTION,
        record_all(process, begun),
        record_all(other, begun[::-1]),
        id=begun[COUNT // 2].id,
    )

    answers = [answer for result in results if isinstance(result, list) for answer in result]
    assert {type(answer) for answer in answers} == {type(None), IdempotencyKeyInUse}
    assert answers.count(None) == COUNT
    assert len(await process.attempts(caller)) == COUNT


async def test_the_same_outcomes_in_opposite_order_don_t_block_each_other(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    steps = [await process.recorded(caller, f"key-{number}") for number in range(COUNT)]

    async def settle_all(one: TxnProcess, order: list[Step]) -> list[bool]:
        return await asyncio.gather(
            *(one.store.moves.submit(after(step, NO_ANSWER)) for step in order)
        )

    results = await race(
        process.database,
        "update attempts set status = status where id = :id",
        settle_all(process, steps),
        settle_all(other, steps[::-1]),
        id=steps[COUNT // 2].attempt.id,
    )

    answers = [answer for result in results if isinstance(result, list) for answer in result]
    assert sorted(answers) == [False] * COUNT + [True] * COUNT, results


async def test_a_key_whose_charge_is_given_up_meanwhile_is_begun_or_refused(
    process: TxnProcess, other: TxnProcess, caller: Caller
) -> None:
    given_up, mine = await process.begun(caller), a_transaction(caller)

    async with process.database.transaction() as abandoning:
        await abandoning.execute(sa.text("lock table attempts in access exclusive mode"))
        begin = asyncio.create_task(other.store.beginnings.submit(a_beginning(mine)))
        await until_waiting(process.database, [begin])
        await abandoning.execute(
            sa.text("delete from transactions where id = :id"), {"id": given_up.id}
        )
    [result] = await asyncio.gather(begin, return_exceptions=True)

    if result is None:
        assert await other.store.reads.submit((caller.merchant_id, mine.id)) == (mine, None, ())
    else:
        assert isinstance(result, IdempotencyKeyInUse)
        assert await process.count(caller) == 0
