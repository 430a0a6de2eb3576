"""Attempts that were recorded and whose events are late: told by comparing two services' books."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chassis.database import Database
from chassis.identity import Caller
from tests.integration.owner import as_owner
from tests.integration.recon_parts import (
    AWAY,
    CREATED,
    LATE_S,
    FakeAttempts,
    ReconProcess,
    an_attempt,
)
from tests.integration.resolution_parts import Resolving
from tests.integration.txn_parts import CREATED as RECORDED_AT

pytestmark = pytest.mark.integration


@pytest.fixture
async def recon(
    recon_databases: list[Database], caller: Caller
) -> AsyncIterator[tuple[ReconProcess, FakeAttempts]]:
    attempts = FakeAttempts()
    await as_owner(recon_databases[0], "delete from attempts")
    async with attempts.served() as channel:
        yield ReconProcess(recon_databases[0], channel, caller), attempts


async def test_an_event_is_late_when_it_has_not_come_in_the_set_time(
    recon: tuple[ReconProcess, FakeAttempts], caplog: pytest.LogCaptureFixture
) -> None:
    process, attempts = recon
    attempts.recorded = 2
    await process.store.take([an_attempt(id_="att_1")])

    process.clock.move(LATE_S + 1)
    late = await process.arrivals.missing()
    logged = [record.message for record in caplog.records if record.levelname == "ERROR"]
    await process.store.take([an_attempt(id_="att_2")])
    afterwards = await process.arrivals.missing()

    assert (late, afterwards) == (1, 0)
    assert logged == ["events of attempts are late"]


async def test_what_may_still_come_is_not_looked_at_and_what_is_late_again_and_again(
    recon: tuple[ReconProcess, FakeAttempts],
) -> None:
    process, attempts = recon
    process.clock.move(LATE_S)
    await process.arrivals.missing()
    attempts.recorded = 1
    process.clock.move(1)
    late = [await process.arrivals.missing()]
    process.clock.move(60)
    late.append(await process.arrivals.missing())
    await process.store.take([an_attempt()])
    late.append(await process.arrivals.missing())

    spans = [call.split()[1:] for call in attempts.calls]
    assert late == [1, 1, 0]
    assert [int(until) for _, until in spans] == [CREATED, CREATED + 1, *[CREATED + 61] * 2]
    assert [int(begin) for begin, _ in spans[1:]] == [CREATED] * 3


async def test_nothing_is_late_for_a_while_when_all_has_come(
    recon: tuple[ReconProcess, FakeAttempts],
) -> None:
    process, attempts = recon

    found = [await process.arrivals.missing() for _ in range(3)]

    assert found == [0, 0, 0]
    assert len(attempts.calls) == 1


async def test_a_neighbour_that_is_away_hides_nothing_for_good(
    recon: tuple[ReconProcess, FakeAttempts],
) -> None:
    process, attempts = recon
    process.clock.move(LATE_S + 1)
    attempts.recorded, attempts.refusal = 1, AWAY

    with pytest.raises(type(AWAY)):
        await process.arrivals.missing()
    attempts.refusal = None

    assert await process.arrivals.missing() == 1


async def test_attempts_are_counted_by_the_second_in_which_they_were_recorded(
    resolving: Resolving,
) -> None:
    before = await resolving.resolver.count(RECORDED_AT, RECORDED_AT + 1)
    await resolving.recorded(key="key-1")
    await resolving.recorded(key="key-2")

    assert await resolving.resolver.count(RECORDED_AT, RECORDED_AT + 1) == before + 2
    assert await resolving.resolver.count(RECORDED_AT + 1, RECORDED_AT + 1) == 0
    assert await resolving.resolver.count(RECORDED_AT + 1, RECORDED_AT) == 0
