"""Has PostgreSQL give up the slot of one database while payments go on, and no other slot."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import psycopg

from sandbox.platform.connectors import Connectors
from tests.faults.mesh import Mesh
from tests.lost_slots import Admin, lose_slot, write_wal

T = TypeVar("T")
POLL_S = 1.0
INSISTED_S_MAX = 180.0  # other faults meet Connect and PostgreSQL meanwhile
AWAY = (OSError, http.client.HTTPException, psycopg.OperationalError, RuntimeError)
IS_READ = "select active from pg_replication_slots where slot_name = %s"
NOW_US = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
BEHIND = """
select slot_name from pg_replication_slots where slot_name <> %s and restart_lsn < %s::pg_lsn
"""


async def give_up_slot(mesh: Mesh, service: str) -> int:
    """Lose a slot; return since when nothing is captured, by the database's clock, in µs.

    Its connector stops, WAL is written that the others read, and then too little of it is kept. The
    connector goes on, in vain. What is away for a while is asked again; raises what it said last.
    """
    connectors = Connectors(mesh.status()["connect"])
    slot = f"paymesh_{service}"

    async def with_postgres(do: Callable[[Admin], T]) -> T:
        return await _insist(partial(asyncio.to_thread, _as_admin, mesh, service, do))

    await _insist(lambda: connectors.stop(service))
    since_us = await with_postgres(lambda admin: _unread_since_us(admin, slot))
    end = await with_postgres(write_wal)
    await with_postgres(lambda admin: _let_others_pass(admin, slot, end))
    await with_postgres(lambda admin: lose_slot(admin, slot))
    await _insist(lambda: connectors.call("PUT", f"/connectors/{service}/resume"))
    return since_us


def now_us(mesh: Mesh, service: str) -> int:
    """Return a database's time, microseconds since 1970."""
    return _as_admin(mesh, service, _now_us)


def _as_admin(mesh: Mesh, service: str, do: Callable[[Admin], T]) -> T:
    with psycopg.connect(mesh.status()["databases"][service], autocommit=True) as admin:
        return do(admin)


def _now_us(admin: Admin) -> int:
    [(at_us,)] = admin.execute(NOW_US)
    return int(at_us)


def _unread_since_us(admin: Admin, slot: str) -> int:
    if admin.execute(IS_READ, [slot]).fetchone() != (False,):
        raise RuntimeError(f"{slot} is still read")
    return _now_us(admin)


def _let_others_pass(admin: Admin, slot: str, end: str) -> None:
    """Let all other slots come past a place in the WAL, for which they need to know who writes."""
    admin.execute("select pg_log_standby_snapshot()")
    behind = admin.execute(BEHIND, [slot, end]).fetchall()
    if behind:
        raise RuntimeError(f"still before {end}: {behind}")


async def _insist(do: Callable[[], Awaitable[T]]) -> T:
    deadline = time.monotonic() + INSISTED_S_MAX
    while True:
        try:
            return await do()
        except AWAY:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_S)
