"""A network that sends replies to nothing: few statements look them up, none is lost silently."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from chassis.database import Database, Row
from chassis.errors import Overloaded
from tests.integration.resolution_parts import Resolving, said
from txn_svc.handlers.strays import IN_HAND_MAX, StrayReplies
from txn_svc.networks.connection import Elements
from txn_svc.store.attempts import AttemptStore

pytestmark = pytest.mark.integration

NETWORK = "visa_sim"


class CountingDatabase:
    """A real database that counts its statements."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements = 0

    async def run_batch(self, sql: str, items: Sequence[Mapping[str, object]]) -> list[Row]:
        self.statements += 1
        return await self._database.run_batch(sql, items)


def _a_reply(number: int) -> Elements:
    return {"t": "0110", "11": "000001", "37": f"STRAY{number:07d}", "39": "00"}


async def test_a_flood_of_replies_to_nothing_costs_few_statements(resolving: Resolving) -> None:
    database = CountingDatabase(resolving.process.database)
    store = AttemptStore(database, resolving.process.clock)  # type: ignore[arg-type]
    resolving.process.attempt_store.by_rrn = store.by_rrn
    step = await resolving.recorded(NETWORK)
    mine = {"t": "0110", "11": step.attempt.stan, "37": step.attempt.rrn, "39": "05"}

    for number in range(IN_HAND_MAX - 1):
        resolving.resolver.take_stray(NETWORK, _a_reply(number))
    resolving.resolver.take_stray(NETWORK, mine)
    await resolving.resolver.stop()

    assert 0 < database.statements < IN_HAND_MAX / 50
    assert said(await resolving.attempt(step.attempt)) == [("0110", "05")]


async def test_what_is_too_much_at_once_is_counted_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on, settled = asyncio.Event(), []

    async def settle(_: str, elements: Elements) -> None:
        await go_on.wait()
        settled.append(elements["37"])

    strays = StrayReplies(settle)
    for number in range(IN_HAND_MAX + 2):
        strays.take(NETWORK, _a_reply(number))
    go_on.set()
    await strays.stop()
    strays.take(NETWORK, _a_reply(IN_HAND_MAX + 2))
    await strays.stop()

    names = [_a_reply(number)["37"] for number in range(IN_HAND_MAX + 3)]
    lost = [record.__dict__ for record in caplog.records if record.levelname == "ERROR"]
    assert [record["rrn"] for record in lost] == names[IN_HAND_MAX : IN_HAND_MAX + 2]
    assert {record["reason"] for record in lost} == {"too many at once"}
    assert sorted(settled) == sorted({*names} - {*names[IN_HAND_MAX : IN_HAND_MAX + 2]})


async def test_a_reply_that_can_t_be_looked_up_now_is_looked_up_later() -> None:
    tries = []

    async def settle(_: str, elements: Elements) -> None:
        tries.append(elements)
        if len(tries) == 1:
            raise Overloaded

    strays = StrayReplies(settle)
    strays.take(NETWORK, _a_reply(1))
    await strays.stop()

    assert tries == [_a_reply(1)] * 2
