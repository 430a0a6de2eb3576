"""The import of clearing files, stopped between any two steps and begun again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import Database, Row
from sandbox.networks.cards import Clearing
from tests.integration.clearing_parts import (
    AUTHORIZED,
    LATE,
    NAME,
    ClearingProcess,
    FakeAttempts,
    a_process,
    an_attempt,
    without_answer,
)
from tests.integration.owner import as_owner
from tests.unit.clearing.files import IPM, TC33, a_file, a_row, ipm_with

pytestmark = pytest.mark.integration

EMPTY = """
truncate attempts, clearing_files, clearing_totals, clearing_lines, clearing_rejects, breaks
"""
END_STATE = {
    "files": """
        select name, status, refused_reason, presentments, rejected, check_after is null as checked
        from clearing_files order by name""",
    "lines": """
        select f.name, l.number, l.verdict, l.attempt_id, l.look_after is null as ended
        from clearing_lines l join clearing_files f on f.id = l.file order by 1, 2""",
    "rejects": """
        select f.name, r.number, r.field from clearing_rejects r
        join clearing_files f on f.id = r.file order by 1, 2""",
    "totals": """
        select f.name, t.currency, t.lines, t.amount_minor from clearing_totals t
        join clearing_files f on f.id = t.file order by 1, 2""",
    "breaks": """
        select kind, network, attempt_id, line, our_amount_minor, their_amount_minor, resolved_by
        from breaks order by kind, attempt_id, line""",
}


class Died(Exception):
    """The process ended here."""


@dataclass
class Steps:
    """Counts what a process does with its database, and ends it before a step."""

    left: int | None = None

    def next(self) -> None:
        """Do a step, or die before it."""
        if self.left is None:
            return
        if self.left == 0:
            raise Died
        self.left -= 1


class MortalConnection:
    """A connection in a transaction of a process that may die."""

    def __init__(self, inner: AsyncConnection, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    async def exec_driver_sql(self, *arguments: Any) -> Any:
        """Run a statement."""
        self._steps.next()
        return await self._inner.exec_driver_sql(*arguments)

    async def get_raw_connection(self) -> Any:
        """Return what lines are copied by."""
        self._steps.next()
        return await self._inner.get_raw_connection()


class MortalDatabase(Database):
    """The database of a process that may die between any two statements, and before a commit."""

    def __init__(self, whole: Database, steps: Steps) -> None:
        self.engine = whole.engine
        self._whole = whole
        self._steps = steps

    async def fetch(self, sql: str, **parameters: object) -> list[Row]:
        """Run one statement."""
        self._steps.next()
        return await self._whole.fetch(sql, **parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Run statements that commit together, unless the process dies before that."""
        async with super().transaction() as connection:
            yield cast("AsyncConnection", MortalConnection(connection, self._steps))
            self._steps.next()


def _fill(inbox: Path) -> None:
    """Put in a file of every kind of line, another network's, and one that is refused."""
    doubled = a_row(3, clearing=Clearing.TWICE)
    rows = [a_row(1), a_row(2), doubled, a_row(4), a_row(5)]
    (inbox / NAME).write_bytes(a_file(IPM, rows))

    def spoil(messages: list[dict[str, str]]) -> None:
        messages[0]["DE48"] = messages[0]["DE48"].replace("00001", "00002")
        messages[-1]["DE48"] = messages[-1]["DE48"].replace("0000200001", "0000200002")
        messages[2]["DE4"] = "00000000025O"

    (inbox / "mastercard_sim-20261126-002.ipm").write_bytes(ipm_with(spoil))
    (inbox / "mastercard_sim-20261126-003.ipm").write_bytes(a_file(IPM, rows)[:-1014])
    (inbox / "visa_sim-20261126-001.tc33").write_bytes(a_file(TC33, [a_row(6)]))


async def _begin(process: ClearingProcess) -> None:
    await as_owner(process.database, EMPTY)
    await process.attempts.take(
        [
            *(an_attempt(1), an_attempt(2, amount_minor=1000), an_attempt(3), without_answer(4)),
            *(an_attempt(7), an_attempt(8, TC33), without_answer(9, reversal="overdue")),
            without_answer(10, kind="capture", overdue_since=AUTHORIZED),
        ]
    )


async def _live(processes: Sequence[ClearingProcess], steps: Steps) -> None:
    """Run, as time passes, until all is said; a process that dies is followed by another."""
    first, second = processes
    for process in processes:
        process.clock.move((LATE - process.clock.now()).total_seconds())
    try:
        await first.clearing.run()
        await first.attempts.take([an_attempt(4, version=3)])
        first.clock.move(60)
        await first.clearing.run()
    except Died:
        steps.left = None
        await second.clearing.run()
        await second.attempts.take([an_attempt(4, version=3)])
        second.clock.move(60)
        await second.clearing.run()


async def _state(database: Database) -> dict[str, list[dict[str, Any]]]:
    return {name: await as_owner(database, sql) for name, sql in END_STATE.items()}


async def test_an_import_that_dies_anywhere_ends_as_one_that_lived(
    recon_database: Database, tmp_path: Path
) -> None:
    steps = Steps()
    attempts = FakeAttempts()
    mortal = MortalDatabase(recon_database, steps)
    async with a_process(mortal, tmp_path / "inbox", attempts) as template:
        _fill(template.inbox)
        whole = ClearingProcess(recon_database, template.inbox, template.client)
        await _begin(whole)
        await _live([template, whole.again()], steps)
        lived = await _state(recon_database)

        for number in count():
            await _begin(whole)
            steps.left = number
            await _live([template.again(), whole.again()], steps)
            assert await _state(recon_database) == lived, f"it died before step {number}"
            if steps.left is not None:
                break

    assert number > 40
    kinds = [row["kind"] for row in lived["breaks"]]
    assert sorted(set(kinds)) == [
        *("amount_over", "capture_overdue", "duplicate_line", "missing_at_network"),
        *("missing_at_us", "reversal_overdue"),
    ]
    assert [row["status"] for row in lived["files"]] == ["taken", "taken", "refused", "taken"]
    assert {request.attempt_id for request in attempts.settled} == {"att_4"}
