"""What a service does for its capture to be seen: its heartbeat, its look at the slots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from chassis.database import Database, Row
from chassis.heartbeat import BEAT
from chassis.slots import SlotWatch, slot_of
from sandbox.platform.postgres import SETTINGS
from sandbox.state import DATABASES
from tests.integration.conftest import DatabaseServer, running_server
from tests.integration.owner import as_owner
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

SERVICE = "recon"
ROW = "select beaten, lsn, xmin::text from heartbeats"
MOVED = "update heartbeats set beaten = beaten + cast(%(by)s as interval)"
CREATE_SLOT = "select pg_create_logical_replication_slot(%s, 'pgoutput', false)"
DROP_SLOT = "select pg_drop_replication_slot(%s)"
WRITE = "select pg_logical_emit_message(false, 'noise', repeat('x', 1000000))"


@pytest.fixture
async def database(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Database]:
    made, _ = await database_and_settings(postgres.database(SERVICE), tls)
    yield made
    await made.close()


@pytest.mark.parametrize("service", DATABASES)
async def test_every_service_may_renew_its_heartbeat(
    postgres: DatabaseServer, tls: Path, service: str
) -> None:
    made, _ = await database_and_settings(postgres.database(service), tls)
    before = await _row(made)

    await as_owner(made, MOVED, by="-1 second")
    await made.fetch(BEAT)

    after = await _row(made)
    await made.close()
    assert after["beaten"] > before["beaten"]
    assert after["lsn"] != before["lsn"]


async def test_several_processes_renew_it_once_a_second(database: Database) -> None:
    await as_owner(database, MOVED, by="-1 second")

    await asyncio.gather(*(database.fetch(BEAT) for _ in range(5)))
    first = await _row(database)
    await as_owner(database, MOVED, by="-0.5 seconds")
    moved = await _row(database)
    await database.fetch(BEAT)

    assert first["beaten"] > moved["beaten"]
    assert await _row(database) == moved


async def test_a_clock_that_was_put_back_does_not_stop_it(database: Database) -> None:
    await as_owner(database, MOVED, by="1 hour")
    before = await _row(database)

    await database.fetch(BEAT)

    assert (await _row(database))["beaten"] < before["beaten"]


async def _row(database: Database) -> Row:
    [row] = await database.fetch(ROW)
    return row


@contextmanager
def a_slot(admin: psycopg.Connection[tuple[object, ...]], name: str) -> Iterator[None]:
    admin.execute(CREATE_SLOT.encode(), [name])
    try:
        yield
    finally:
        admin.execute(DROP_SLOT.encode(), [name])


@pytest.fixture
def little_wal(tls: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseServer]:
    """Start a server whose slots may hold back next to nothing."""
    monkeypatch.setitem(SETTINGS, "max_slot_wal_keep_size", "1MB")
    with running_server(tls) as server:
        yield server


async def test_a_slot_in_danger_is_told_of_once_and_each_time_it_gets_worse(
    little_wal: DatabaseServer, tls: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database, _ = await database_and_settings(little_wal.database(SERVICE), tls)
    watch = SlotWatch(database, SERVICE)
    url = database.engine.url.render_as_string(hide_password=False)

    with little_wal.admin(url) as admin:
        with a_slot(admin, slot_of(SERVICE)):
            await watch.look()
            fine = [*_told(caplog)]
            for _ in range(3):
                admin.execute(WRITE.encode())
                admin.execute(b"select pg_switch_wal()")
            await watch.look()
            await watch.look()
            admin.execute(b"checkpoint")
            await watch.look()
        await watch.look()
    await database.close()

    assert fine == []
    assert _told(caplog) == [("ERROR", "unreserved"), ("ERROR", "lost"), ("WARNING", "absent")]


def _told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.__dict__["wal_status"])
        for record in caplog.records
        if record.name == "chassis.slots"
    ]
