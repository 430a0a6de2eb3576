"""The purge of events and deliveries on a real PostgreSQL: only what is over for long goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from chassis.config import RetentionSettings
from chassis.database import Database
from chassis.errors import ResourceMissing, ServiceUnavailable
from chassis.paging import Page, Period
from chassis.retention import MAY_COME_AGAIN, forget
from chassis.sealing import Sealer
from tests.integration.conftest import DatabaseServer
from tests.integration.owner import as_owner
from tests.integration.races import until_role_waits
from tests.integration.settings import database_and_settings
from tests.integration.webhook_parts import Webhooks, webhooks_on
from webhook_svc.handlers import ReplayWish
from webhook_svc.retention import PURGE, purge

pytestmark = pytest.mark.integration

ROLE = "webhook_retention"
OLD, YOUNG = timedelta(days=500), timedelta(days=300)
AGE = timedelta(days=400)
LEFT = """
select (select count(*) from events) as events, (select count(*) from deliveries) as deliveries,
    (select count(*) from delivery_attempts) as attempts
"""
NOTHING = {"events": 0, "deliveries": 0, "attempts": 0}


@pytest.fixture
async def database(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Database]:
    made, _ = await database_and_settings(postgres.database("webhook"), tls)
    yield made
    await made.close()


@pytest.fixture
async def webhooks(database: Database, tls: Path) -> AsyncIterator[Webhooks]:
    async with webhooks_on(database, Sealer.from_file(tls / "master.key")) as made:
        yield made


@pytest.fixture
async def purger(
    postgres: DatabaseServer, database: Database, tls: Path
) -> AsyncIterator[Database]:
    """Connect to the same database as the role that purges."""
    made, _ = await database_and_settings(
        postgres.url(ROLE, str(database.engine.url.database)), tls
    )
    yield made
    await made.close()


async def an_event(webhooks: Webhooks, age: timedelta, **deliveries: timedelta) -> str:
    """Let an event of this age have happened; deliveries: status → since when it is that.

    Each delivery is to an endpoint of its own and was tried twice.
    """
    endpoints = [(await webhooks.endpoint("http://127.0.0.1:9/"))[0] for _ in deliveries]
    [event_id] = await webhooks.happen()
    now = webhooks.clock.now()
    await as_owner(
        webhooks.database,
        "update events set created = %(created)s where id = %(id)s",
        created=now - age,
        id=event_id,
    )
    for endpoint, (status, since) in zip(endpoints, deliveries.items(), strict=True):
        await as_owner(
            webhooks.database,
            """
            with delivery as (
                update deliveries set status = %(status)s, created = %(created)s, tries = 2,
                    next_attempt = %(at)s
                where endpoint_id = %(endpoint)s returning merchant_id, id
            )
            insert into delivery_attempts (merchant_id, delivery_id, created, duration_ms)
            select merchant_id, id, %(at)s, 1 from delivery, generate_series(1, 2)""",
            status=status,
            created=now - age,
            at=now - since,
            endpoint=endpoint.id,
        )
    return event_id


async def left(webhooks: Webhooks) -> dict[str, int]:
    """Return how many rows there are."""
    [row] = await as_owner(webhooks.database, LEFT)
    return dict(row)


async def purge_old(webhooks: Webhooks, purger: Database) -> int:
    """Purge what is over for 400 days; return how many events went."""
    return await forget(purger, PURGE, webhooks.clock.now() - AGE)


async def replayed(webhooks: Webhooks, endpoint_id: str, event_id: str) -> int:
    """Send an event to an endpoint again; return how many deliveries were queued."""
    async with webhooks.store.transaction() as tx:
        wish = ReplayWish(event_id, None, None)
        return await webhooks.handlers.replay(tx, webhooks.caller, endpoint_id, wish)


GOES: list[dict[str, timedelta]] = [
    {},
    {"succeeded": OLD},
    {"exhausted": OLD},
    {"canceled": OLD},
    {"succeeded": OLD, "exhausted": OLD, "canceled": OLD},
]
STAYS: list[tuple[timedelta, dict[str, timedelta]]] = [
    (YOUNG, {}),
    (YOUNG, {"succeeded": YOUNG}),
    (OLD, {"pending": OLD}),
    (OLD, {"pending": -timedelta(hours=1)}),
    (OLD, {"succeeded": OLD, "pending": OLD}),
    (OLD, {"succeeded": timedelta(days=1)}),  # as if it was new: replayed yesterday
    (OLD, {"succeeded": OLD, "exhausted": YOUNG}),
]


@pytest.mark.parametrize("deliveries", GOES)
async def test_an_event_goes_with_its_deliveries_when_all_are_over_for_long(
    webhooks: Webhooks, purger: Database, deliveries: dict[str, timedelta]
) -> None:
    await an_event(webhooks, OLD, **deliveries)

    assert await purge_old(webhooks, purger) == 1
    assert await left(webhooks) == NOTHING


@pytest.mark.parametrize(("age", "deliveries"), STAYS)
async def test_what_is_due_or_was_done_not_long_ago_stays(
    webhooks: Webhooks, purger: Database, age: timedelta, deliveries: dict[str, timedelta]
) -> None:
    await an_event(webhooks, age, **deliveries)
    before = await left(webhooks)

    assert await purge_old(webhooks, purger) == 0
    assert await left(webhooks) == before


async def test_much_goes_in_many_batches(
    webhooks: Webhooks, purger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.retention.FORGET_AT_ONCE", 2)
    stays = await an_event(webhooks, OLD, pending=OLD)
    await webhooks.happen(count=5)
    await as_owner(
        webhooks.database,
        """
        with event as (update events set created = %(old)s where id <> %(id)s)
        update deliveries set status = 'exhausted', next_attempt = %(old)s
        where event_id <> %(id)s""",
        old=webhooks.clock.now() - OLD,
        id=stays,
    )

    assert await purge_old(webhooks, purger) == 5
    assert await left(webhooks) == {"events": 1, "deliveries": 1, "attempts": 2}


async def test_merchants_are_told_of_what_was_purged_as_of_what_never_was(
    webhooks: Webhooks, purger: Database
) -> None:
    event_id = await an_event(webhooks, OLD, succeeded=OLD)
    [[endpoint], _] = await webhooks.handlers.page(webhooks.caller, Page(100))
    [delivery] = await webhooks.deliveries(endpoint)

    await purge_old(webhooks, purger)

    assert await webhooks.deliveries(endpoint) == []
    listed = webhooks.handlers.list_events(webhooks.caller, Page(100), Period(), None)
    assert await listed == ([], False)
    after = Page(100, delivery.id)
    for asked in (
        webhooks.handlers.get_event(webhooks.caller, event_id),
        webhooks.handlers.list_deliveries(webhooks.caller, endpoint.id, after, None),
        replayed(webhooks, endpoint.id, event_id),
    ):
        with pytest.raises(ResourceMissing):
            await asked


async def test_a_replay_that_comes_while_its_event_is_purged_finds_it_missing(
    postgres: DatabaseServer, webhooks: Webhooks, purger: Database
) -> None:
    event_id = await an_event(webhooks, OLD, succeeded=OLD)
    [[endpoint], _] = await webhooks.handlers.page(webhooks.caller, Page(100))
    wanted = {"before": webhooks.clock.now() - AGE, "limit": 10}
    async with purger.transaction() as connection:
        await connection.exec_driver_sql(PURGE, wanted)
        replay = asyncio.create_task(replayed(webhooks, endpoint.id, event_id))
        await until_role_waits(postgres, "webhook")

    with pytest.raises(ResourceMissing):
        await replay
    assert await left(webhooks) == NOTHING


async def test_a_purge_that_comes_while_an_event_is_replayed_leaves_it(
    postgres: DatabaseServer, webhooks: Webhooks, purger: Database
) -> None:
    event_id = await an_event(webhooks, OLD, succeeded=OLD)
    [[endpoint], _] = await webhooks.handlers.page(webhooks.caller, Page(100))
    before = await left(webhooks)
    async with webhooks.store.transaction() as tx:
        await webhooks.handlers.replay(
            tx, webhooks.caller, endpoint.id, ReplayWish(event_id, None, None)
        )
        purging = asyncio.create_task(purge_old(webhooks, purger))
        await until_role_waits(postgres, ROLE)

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await purging
    assert await left(webhooks) == before
    assert await purge_old(webhooks, purger) == 0


async def test_a_purge_that_is_killed_leaves_all_and_runs_again(
    postgres: DatabaseServer, webhooks: Webhooks, purger: Database
) -> None:
    event_id = await an_event(webhooks, OLD, succeeded=OLD, exhausted=OLD)
    before = await left(webhooks)
    with postgres.admin(str(webhooks.database.engine.url)) as admin, admin.transaction():
        admin.execute("select from events where id = %s for update", [event_id])
        purging = asyncio.create_task(purge_old(webhooks, purger))
        await until_role_waits(postgres, ROLE, is_killed=True)
        with pytest.raises(ServiceUnavailable):
            await purging

    assert await left(webhooks) == before
    assert await purge_old(webhooks, purger) == 1


async def test_an_event_that_may_come_again_stays_whatever_age_is_asked_for(
    webhooks: Webhooks, purger: Database, tls: Path
) -> None:
    hour = timedelta(hours=1)
    await an_event(webhooks, MAY_COME_AGAIN - hour)
    await an_event(webhooks, MAY_COME_AGAIN + hour, canceled=MAY_COME_AGAIN + hour)
    settings = RetentionSettings(
        service_name=ROLE,
        tls_certificate=tls / f"{ROLE}.crt",
        tls_key=tls / f"{ROLE}.key",
        tls_ca=tls / "ca.crt",
        database_url=SecretStr("postgresql+psycopg://"),
        older_than_days=0,
    )

    assert await purge(settings, purger, webhooks.clock.now()) == {"events": 1, "keys": 0}
    assert await left(webhooks) == NOTHING | {"events": 1}
