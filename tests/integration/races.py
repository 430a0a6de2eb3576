"""Races that are sure to happen: all who take part come to one lock first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import psycopg
import pytest
import sqlalchemy as sa

from chassis.database import Database
from tests.integration.conftest import DatabaseServer

Result = TypeVar("Result")
START_S_MAX = 30.0

WAITING = """
select count(*) as number from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'
"""


async def race(
    database: Database, hold: str, *calls: Coroutine[Any, Any, Result], **parameters: object
) -> list[Result | BaseException]:
    """Let each call come to a lock after the one before, let all go, and return what each got.

    hold: a statement whose locks all of them come to; it is rolled back. The lock of a row goes to
    the first that came, that of a key to any. Each call needs a store of its own, since calls of
    one store share a statement.
    """
    options = database.engine.execution_options(isolation_level="READ COMMITTED")
    tasks: list[asyncio.Task[Result]] = []
    async with asyncio.timeout(START_S_MAX), options.connect() as holder:
        await holder.execute(sa.text(hold), parameters)
        for call in calls:
            tasks.append(asyncio.create_task(call))
            await until_waiting(database, tasks)
        await holder.rollback()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def until_waiting(database: Database, tasks: list[asyncio.Task[Result]]) -> None:
    """Return when each of the tasks waits for a lock."""
    while True:
        [row] = await database.fetch(WAITING)
        if row["number"] >= len(tasks):
            return
        assert not tasks[-1].done(), "a call did not come to the lock"


async def until_role_waits(postgres: DatabaseServer, role: str, *, is_killed: bool = False) -> None:
    """Return when a connection of a role waits for a lock; if wanted, it has been ended then."""
    deed = "pg_terminate_backend(pid)" if is_killed else "pid"
    sql = f"select {deed} from pg_stat_activity where usename = %s and wait_event_type = 'Lock'"  # noqa: S608 ours
    with psycopg.connect(postgres.server.superuser_url("postgres"), autocommit=True) as admin:
        for _ in range(200):
            if admin.execute(sql.encode(), [role]).fetchall():
                return
            await asyncio.sleep(0.05)
    pytest.fail(f"nobody waits as {role}")
