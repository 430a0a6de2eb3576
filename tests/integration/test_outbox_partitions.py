"""The outbox's partitions: made ahead, dropped when all of one went through the slot, never before.

The slot is a real one; that Debezium reads the outbox through its root is seen in tests/e2e.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from chassis.database import Database
from chassis.errors import ServiceUnavailable
from chassis.identity import Caller
from chassis.outbox import DAYS_AHEAD
from tests.fakes import FakeClock
from tests.integration.conftest import DatabaseServer
from tests.integration.intent_parts import IntentProcess
from tests.integration.owner import as_owner
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

SLOT = "outbox_partitions"
LONG_AGO = "outbox_20200101"
KEEP = "select ahead, overdue from keep_outbox()"
PARTITIONS = """
select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'outbox'::regclass order by 1
"""
AN_EVENT = """
insert into outbox (id, aggregatetype, aggregateid, type, payload, created)
values ('evt_1', 'payment_intent', 'pi_1', 'payment.created', '', {created})
"""


class Outbox:
    """An outbox as the service reaches it, and as its owner and the superuser do."""

    def __init__(self, database: Database, admin: psycopg.Connection[tuple[object, ...]]) -> None:
        self.database = database
        self.admin = admin

    async def keep(self) -> tuple[int, int]:
        """Have partitions seen to; return how many days ahead they reach, and how many linger."""
        [row] = await self.database.fetch(KEEP)
        return row["ahead"], row["overdue"]

    async def partitions(self) -> list[str]:
        return [row["name"] for row in await as_owner(self.database, PARTITIONS)]

    async def has_old_rows(self) -> None:
        """Make a partition of long ago, with an event in it."""
        await as_owner(
            self.database,
            f"create table {LONG_AGO} partition of outbox"
            " for values from ('2020-01-01 00:00+0') to ('2020-01-02 00:00+0')",
        )
        await self.add("'2020-01-01 12:00+0'")

    async def add(self, created: str) -> None:
        await as_owner(self.database, AN_EVENT.format(created=created))

    def read_on(self) -> None:
        """Let the slot confirm all that is written by now, as Debezium does."""
        self.admin.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", [SLOT])


@pytest.fixture(scope="module")
def intent_url(postgres: DatabaseServer) -> str:
    """Return a database of intent_svc, by its URL for psycopg."""
    return postgres.database("intent").replace("+psycopg", "")


@pytest.fixture
async def outbox(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Outbox]:
    """Lend an outbox of intent_svc that nobody captures yet."""
    url = postgres.database("intent")
    database, _ = await database_and_settings(url, tls)
    with postgres.admin(url) as admin:
        yield Outbox(database, admin)
        await database.close()


@pytest.fixture
def captured(outbox: Outbox) -> Iterator[Outbox]:
    """Lend an outbox whose database has a slot."""
    outbox.admin.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [SLOT])
    yield outbox
    outbox.admin.execute("select pg_drop_replication_slot(%s)", [SLOT])


async def test_a_new_outbox_has_a_partition_for_today_and_days_ahead(outbox: Outbox) -> None:
    today = datetime.now(UTC).date()
    days = [today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)]

    assert await outbox.partitions() == [f"outbox_{day:%Y%m%d}" for day in days] + [
        "outbox_default"
    ]
    assert await outbox.keep() == (DAYS_AHEAD, 0)
    assert len(await outbox.partitions()) == DAYS_AHEAD + 2


async def test_what_a_service_writes_lies_in_the_partition_of_its_day(
    outbox: Outbox, caller: Caller
) -> None:
    process = IntentProcess(outbox.database, FakeClock())
    intent = await process.intent(caller)

    found = await as_owner(
        outbox.database,
        "select tableoid::regclass::text as name from outbox where aggregateid = %(id)s",
        id=intent.id,
    )

    await process.store.close()
    assert found == [{"name": f"outbox_{datetime.now(UTC):%Y%m%d}"}]


async def test_an_old_partition_is_dropped_when_the_slot_has_passed_all_of_it(
    captured: Outbox,
) -> None:
    await captured.has_old_rows()

    assert await captured.keep() == (DAYS_AHEAD, 1)  # counted
    assert await captured.keep() == (DAYS_AHEAD, 1)  # nobody has read on
    assert LONG_AGO in await captured.partitions()
    captured.read_on()
    assert await captured.keep() == (DAYS_AHEAD, 0)

    assert LONG_AGO not in await captured.partitions()


async def test_what_comes_after_the_count_is_waited_for(captured: Outbox) -> None:
    await captured.has_old_rows()
    await captured.keep()
    captured.read_on()
    await captured.add("'2020-01-01 13:00+0'")

    assert await captured.keep() == (DAYS_AHEAD, 1)
    assert await captured.keep() == (DAYS_AHEAD, 1)
    assert LONG_AGO in await captured.partitions()
    captured.read_on()
    assert await captured.keep() == (DAYS_AHEAD, 0)


async def test_nothing_is_dropped_where_nobody_captures(outbox: Outbox) -> None:
    await outbox.has_old_rows()

    assert [await outbox.keep() for _ in range(3)] == [(DAYS_AHEAD, 1)] * 3
    assert LONG_AGO in await outbox.partitions()


async def test_a_day_without_a_partition_loses_nothing(captured: Outbox) -> None:
    last = (datetime.now(UTC) + timedelta(days=DAYS_AHEAD)).date()
    await as_owner(captured.database, f"drop table outbox_{last:%Y%m%d}")
    await captured.add(f"'{last} 12:00+0'")
    await captured.add("'2020-01-01 12:00+0'")

    # That day's events stay where they are, and with them what is older.
    assert await captured.keep() == (DAYS_AHEAD - 1, 0)
    captured.read_on()
    await captured.keep()
    assert len(await as_owner(captured.database, "select id from outbox_default")) == 2
    await as_owner(captured.database, "delete from outbox where created > '2021-01-01'")
    await captured.keep()
    captured.read_on()
    await captured.keep()

    assert await as_owner(captured.database, "select id from outbox_default") == []
    assert await captured.keep() == (DAYS_AHEAD, 0)


async def test_partitions_are_made_beside_writers_and_dropped_between_them(
    captured: Outbox,
) -> None:
    last = (datetime.now(UTC) + timedelta(days=DAYS_AHEAD)).date()
    await as_owner(captured.database, f"drop table outbox_{last:%Y%m%d}")
    with captured.admin.transaction():
        captured.admin.execute(AN_EVENT.format(created="now()").encode())
        assert await captured.keep() == (DAYS_AHEAD, 0)
    await captured.has_old_rows()
    await captured.keep()
    captured.read_on()

    with captured.admin.transaction():
        captured.admin.execute(AN_EVENT.format(created="now()").encode())
        with pytest.raises(ServiceUnavailable):
            await captured.keep()
    assert LONG_AGO in await captured.partitions()

    assert await captured.keep() == (DAYS_AHEAD, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "drop table {}",
        "delete from {}",
        "select from {}",
        "insert into {} (id) values ('evt_1')",
        "alter table outbox detach partition {}",
        "create or replace function keep_outbox() returns int language sql return 1",
    ],
)
def test_a_service_has_no_other_way_to_its_partitions(
    postgres: DatabaseServer, intent_url: str, statement: str
) -> None:
    told = sql.SQL(statement).format(sql.Identifier(f"outbox_{datetime.now(UTC):%Y%m%d}"))

    with psycopg.connect(intent_url) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(told)


def test_debezium_may_not_have_partitions_made_or_dropped(
    postgres: DatabaseServer, intent_url: str
) -> None:
    name = str(sqlalchemy.make_url(intent_url).database)
    url = postgres.url("debezium", name).replace("+psycopg", "")

    with psycopg.connect(url) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(KEEP)
