"""The purge of recon_svc on a real PostgreSQL: only attempts that are cleared, or never will be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.database import Database
from chassis.errors import ServiceUnavailable
from chassis.ids import AttemptId
from chassis.retention import Report
from recon_svc.domain.breaks import BreakFilter
from recon_svc.domain.resolution import Attempt, AttemptStatus
from recon_svc.messages import break_message
from recon_svc.retention import AttemptChanged, purge_attempts
from tests.integration.clearing_parts import (
    AUTHORIZED,
    LATE,
    ClearingProcess,
    a_process,
    an_attempt,
)
from tests.integration.conftest import DatabaseServer
from tests.integration.owner import as_owner
from tests.integration.races import until_role_waits
from tests.integration.settings import database_and_settings
from tests.unit.clearing.files import IPM

pytestmark = pytest.mark.integration

ROLE = "recon_retention"
BEFORE = datetime.fromtimestamp(AUTHORIZED, UTC) + timedelta(days=400)
FAILED, REVERSED = AttemptStatus.FAILED, AttemptStatus.REVERSED
HOLD: dict[str, Any] = {"is_hold": True, "amount_minor": 5000}
CAPTURE: dict[str, Any] = {
    "id": AttemptId("att_capture"),
    "kind": "capture",
    "stan": "000901",
    "network_trace_id": None,
}
LATER = int(BEFORE.timestamp()) + 1


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox") as running:
        yield running


@pytest.fixture
async def purger(
    postgres: DatabaseServer, recon_database: Database, tls: Path
) -> AsyncIterator[Database]:
    """Connect to the same database as the role that purges."""
    name = str(recon_database.engine.url.database)
    made, _ = await database_and_settings(postgres.url(ROLE, name), tls)
    yield made
    await made.close()


async def cleared(process: ClearingProcess, attempts: list[Attempt], *numbers: int) -> None:
    """Let attempts be known, and a network present these, if any; find what is missing."""
    await process.attempts.take(attempts)
    if numbers:
        process.put_file(attempts[0].network, *numbers)
    await process.clearing.run()
    process.clock.move((LATE - process.clock.now()).total_seconds())
    await process.clearing.run()


async def known(process: ClearingProcess) -> list[str]:
    """Return the ids of the attempts that are there."""
    rows = await process.database.fetch("select id from attempts order by id")
    return [row["id"] for row in rows]


# What network presents which of these attempts, all of one RRN.
GOES: dict[str, tuple[list[dict[str, Any]], list[int]]] = {
    "matched": ([{}], [1]),
    "declined": ([{"status": FAILED}], []),
    "undone": ([{"status": REVERSED, "reversal": "acknowledged"}], []),
    "undone after an approval of a part": (
        [{"status": FAILED, "reversal": "acknowledged"}],
        [],
    ),
    "captured and matched": ([HOLD, CAPTURE], [1]),
    "captured at the second try": (
        [HOLD, CAPTURE | {"id": "att_0_refused", "status": FAILED}, CAPTURE],
        [1],
    ),
    "released": ([HOLD | {"status": REVERSED, "reversal": "acknowledged"}], []),
}
STAYS: dict[str, tuple[list[dict[str, Any]], list[int]]] = {
    "without an answer": ([{"status": AttemptStatus.RECORDED}], []),
    "unknown": ([{"status": AttemptStatus.TIMEOUT}], []),
    "being reversed": ([{"reversal": "pending"}], []),
    "failed and being reversed": ([{"status": FAILED, "reversal": "overdue"}], []),
    "missing at the network, or not presented yet": ([{}], []),
    "presented with another amount": ([{"amount_minor": 1098}], [1]),
    "presented twice": ([{}], [1, 1]),
    "declined and presented": ([{"status": FAILED}], [1]),
    "undone and presented": ([{"status": REVERSED, "reversal": "acknowledged"}], [1]),
    "undone, and its line waits": ([{"reversal": "pending"}], [1]),
    "held": ([HOLD], []),
    "held, its capture refused": ([HOLD, CAPTURE | {"status": FAILED}], []),
    "captured and not presented": ([HOLD, CAPTURE], []),
    "captured late": ([HOLD, CAPTURE | {"deadline": LATER}], [1]),
    "young": ([{"deadline": LATER}], [1]),
}


@pytest.mark.parametrize("case", GOES)
async def test_what_is_cleared_or_never_to_be_goes(
    process: ClearingProcess, purger: Database, case: str
) -> None:
    changes, numbers = GOES[case]
    await cleared(process, [an_attempt(1, **change) for change in changes], *numbers)
    assert len(await known(process)) == len(changes)

    assert await purge_attempts(purger, BEFORE) == Report(purged=len(changes), kept=0)
    assert await known(process) == []


@pytest.mark.parametrize("case", STAYS)
async def test_what_may_still_be_asked_about_stays(
    process: ClearingProcess, purger: Database, case: str
) -> None:
    changes, numbers = STAYS[case]
    await cleared(process, [an_attempt(1, **change) for change in changes], *numbers)
    before = await known(process)

    report = await purge_attempts(purger, BEFORE)

    assert (report.purged, await known(process)) == (0, before)


async def test_an_attempt_that_a_break_told_of_stays_when_that_is_resolved(
    process: ClearingProcess, purger: Database
) -> None:
    await cleared(process, [an_attempt(1, amount_minor=1098), an_attempt(2), an_attempt(3)], 1, 2)
    process.put_file(IPM, 3, file_number=2)
    await process.clearing.run()
    assert await process.found(ended=True) == [("missing_at_network", "att_3")]
    for each in (await process.breaks.list(BreakFilter(limit=10)))[0]:
        await process.breaks.resolve(each.id, "ana", "Settled with the network.")

    assert await purge_attempts(purger, BEFORE) == Report(purged=1, kept=2)
    assert await known(process) == ["att_1", "att_3"]


async def test_much_goes_in_many_batches_past_what_stays(
    process: ClearingProcess, purger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recon_svc.retention.ATTEMPTS_AT_ONCE", 2)
    attempts = [
        an_attempt(n, status=FAILED, deadline=AUTHORIZED + n // 3, reversal=reversal)
        for n, reversal in enumerate([None, "pending", None, None, None, "overdue", None, None])
    ]
    await process.attempts.take(attempts)

    assert await purge_attempts(purger, BEFORE) == Report(purged=6, kept=2)
    assert await known(process) == ["att_1", "att_5"]


async def test_breaks_and_reports_are_as_before_and_a_late_line_is_a_break(
    process: ClearingProcess, purger: Database
) -> None:
    attempts = [an_attempt(1), an_attempt(2), an_attempt(3, status=FAILED)]
    await cleared(process, attempts, 1, 2, 3)
    everything = BreakFilter(limit=10)
    before = (await process.report(), await process.breaks.list(everything))

    assert await purge_attempts(purger, BEFORE) == Report(purged=2, kept=1)
    assert (await process.report(), await process.breaks.list(everything)) == before

    process.put_file(attempts[0].network, 1, 2, file_number=2)
    await process.clearing.run()
    # The second of them has the number that the acquirer gave the exchange before.
    await as_owner(
        process.database,
        "update clearing_lines l set arn = first.arn, look_after = %(now)s"
        " from clearing_lines first where first.attempt_id = 'att_2' and l.rrn = first.rrn"
        " and l.attempt_id is null",
        now=process.clock.now(),
    )
    process.clock.move(120)
    await process.clearing.run()

    listed, _ = await process.breaks.list(everything)
    shown = [break_message(each, process.clock.now()) for each in listed[1:]]
    assert sorted((each.HasField("ours"), each.theirs.rrn) for each in shown) == [
        (False, attempts[0].rrn),
        (False, attempts[1].rrn),
    ]
    kinds = {row["kind"] for row in await process.database.fetch("select kind from breaks")}
    assert kinds == {"presentment_without_authorization", "missing_at_us", "duplicate_line"}


async def test_an_attempt_of_which_an_event_tells_meanwhile_stays_with_its_batch(
    postgres: DatabaseServer, process: ClearingProcess, purger: Database
) -> None:
    attempts = [an_attempt(n, status=FAILED) for n in (1, 2)]
    await process.attempts.take(attempts)
    changed = replace(attempts[0], version=3, reversal="pending")
    async with process.database.transaction() as connection:
        await connection.exec_driver_sql(
            "update attempts set version = 3, reversal = 'pending' where id = 'att_1'"
        )
        purging = asyncio.create_task(purge_attempts(purger, BEFORE))
        await until_role_waits(postgres, ROLE)

    with pytest.raises(AttemptChanged):
        await purging
    assert await known(process) == ["att_1", "att_2"]
    assert await process.attempts.take([changed]) == set()
    assert await purge_attempts(purger, BEFORE) == Report(purged=1, kept=1)


async def test_a_purge_that_is_killed_leaves_all_and_runs_again(
    postgres: DatabaseServer, process: ClearingProcess, purger: Database
) -> None:
    await process.attempts.take([an_attempt(n, status=FAILED) for n in (1, 2)])
    async with process.database.transaction() as connection:
        await connection.exec_driver_sql("select from attempts where id = 'att_2' for update")
        purging = asyncio.create_task(purge_attempts(purger, BEFORE))
        await until_role_waits(postgres, ROLE, is_killed=True)
        with pytest.raises(ServiceUnavailable):
            await purging

    assert await known(process) == ["att_1", "att_2"]
    assert await purge_attempts(purger, BEFORE) == Report(purged=2, kept=0)
