"""The purges on real databases: only what is old, over and in the archive as it is here goes.

What audit_svc finds in a real archive, and what merchants then read, is in tests/e2e.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from chassis.archived import CLOCKS_APART, ArchivedRow
from chassis.database import Database
from chassis.errors import ResourceMissing, ServiceUnavailable
from chassis.identity import Caller
from chassis.ids import new_id
from chassis.retention import FORGET_CONSUMED, FORGET_KEYS, Report, forget, purge_old
from intent_svc.domain.payment_intent import Status
from intent_svc.retention import OldIntents
from intent_svc.store.archived import archived_intent
from tests.fakes import FakeClock
from tests.integration.conftest import DatabaseServer
from tests.integration.intent_parts import NOWHERE, IntentProcess, a_caller
from tests.integration.owner import as_owner
from tests.integration.races import until_role_waits
from tests.integration.settings import database_and_settings
from tests.integration.txn_parts import APPROVED, TxnProcess
from txn_svc.retention import OldTransactions
from txn_svc.store.archived import charges_of

pytestmark = pytest.mark.integration

LATER = datetime.now(UTC) + timedelta(days=3650)


def as_debezium(value: object) -> object:
    """Return a column's value as Debezium writes it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value


async def archived(database: Database, table: str, caller: Caller) -> list[ArchivedRow]:
    """Return a merchant's rows as the archive has them."""
    sql = f"select t.* from {table} t where merchant_id = %(id)s order by id"  # noqa: S608 ours
    return [
        ArchivedRow(
            table,
            {name: as_debezium(value) for name, value in row.items()},
            is_purged=False,
            is_archived=True,
        )
        for row in await as_owner(database, sql, id=caller.merchant_id)
    ]


async def left(database: Database, caller: Caller) -> list[tuple[str, str, int]]:
    """Return what is left of the merchant's payments that were purged."""
    rows = await as_owner(
        database,
        "select payment_intent_id, mode, row_count from purged_payments"
        " where merchant_id = %(id)s order by 1",
        id=caller.merchant_id,
    )
    return [(row["payment_intent_id"], row["mode"], row["row_count"]) for row in rows]


@pytest.fixture(scope="module")
async def purger(
    postgres: DatabaseServer, intent_processes: list[IntentProcess], tls: Path
) -> AsyncIterator[Database]:
    """Connect to the database of intent_svc as the role that purges."""
    name = str(intent_processes[0].database.engine.url.database)
    database, _ = await database_and_settings(postgres.url("intent_retention", name), tls)
    yield database
    await database.close()


@pytest.fixture
def process(intent_processes: list[IntentProcess]) -> IntentProcess:
    """Return a process of intent_svc."""
    return intent_processes[0]


async def test_what_is_in_the_archive_as_it_is_here_is_deleted(
    process: IntentProcess, purger: Database, caller: Caller
) -> None:
    paid = await process.intent(caller, Status.SUCCEEDED)
    held = await process.intent(caller, Status.CANCELED)
    rows = await archived(process.database, "payment_intents", caller)

    gone = await OldIntents(purger).purge(rows, LATER)

    assert gone == {paid.id, held.id}
    assert await archived(process.database, "payment_intents", caller) == []
    assert await left(process.database, caller) == sorted(
        (each.id, "test", 1) for each in (paid, held)
    )
    assert await OldIntents(purger).purge(rows, LATER) == set()


@pytest.mark.parametrize(
    "status", [each for each in Status if each not in {"succeeded", "canceled"}]
)
async def test_a_payment_that_is_not_over_stays(
    process: IntentProcess, purger: Database, caller: Caller, status: Status
) -> None:
    await process.intent(caller, status)
    rows = await archived(process.database, "payment_intents", caller)

    assert await OldIntents(purger).purge(rows, LATER) == set()
    assert await archived(process.database, "payment_intents", caller) == rows


DIFFERENCES: list[dict[str, Any]] = [
    {"version": 7},
    {"amount_captured_minor": 1},
    {"description": "another"},
    {"metadata": '{"order": "1"}'},
    {"created": "2020-01-01T00:00:00Z"},
    {"latest_transaction_id": None},
]


@pytest.mark.parametrize("difference", DIFFERENCES)
async def test_a_row_that_is_not_as_the_archive_has_it_stays(
    process: IntentProcess, purger: Database, caller: Caller, difference: dict[str, Any]
) -> None:
    await process.intent(caller, Status.SUCCEEDED)
    [row] = await archived(process.database, "payment_intents", caller)
    differs = replace(row, values=row.values | difference)

    assert await OldIntents(purger).purge([differs], LATER) == set()
    assert await archived(process.database, "payment_intents", caller) == [row]


async def test_a_young_payment_stays(
    process: IntentProcess, purger: Database, caller: Caller
) -> None:
    intent = await process.intent(caller, Status.SUCCEEDED)
    rows = await archived(process.database, "payment_intents", caller)
    created = datetime.fromtimestamp(intent.created, UTC)

    assert await OldIntents(purger).purge(rows, created) == set()
    assert await OldIntents(purger).purge(rows, created + timedelta(seconds=1)) == {intent.id}


async def test_a_purge_that_is_killed_leaves_all_and_runs_again(
    postgres: DatabaseServer, process: IntentProcess, purger: Database, caller: Caller
) -> None:
    intents = [await process.intent(caller, Status.SUCCEEDED) for _ in range(3)]
    rows = await archived(process.database, "payment_intents", caller)
    with postgres.admin(str(process.database.engine.url)) as admin, admin.transaction():
        last = max(each.id for each in intents)
        admin.execute("select from payment_intents where id = %s for update", [last])
        purging = asyncio.create_task(OldIntents(purger).purge(rows, LATER))
        await until_role_waits(postgres, "intent_retention", is_killed=True)
        with pytest.raises(ServiceUnavailable):
            await purging

    assert await archived(process.database, "payment_intents", caller) == rows
    assert await left(process.database, caller) == []
    assert await OldIntents(purger).purge(rows, LATER) == {each.id for each in intents}


async def test_a_purged_intent_is_read_as_it_was(
    process: IntentProcess, purger: Database, caller: Caller
) -> None:
    intent = await process.intent(caller, Status.SUCCEEDED, is_manual=False)
    [row] = await archived(process.database, "payment_intents", caller)

    assert archived_intent(row.values) == intent


async def test_without_the_archive_a_purged_intent_is_not_missing_but_not_to_be_had(
    process: IntentProcess, purger: Database, caller: Caller
) -> None:
    intent = await process.intent(caller, Status.SUCCEEDED)
    rows = await archived(process.database, "payment_intents", caller)
    await OldIntents(purger).purge(rows, LATER)

    with pytest.raises(ServiceUnavailable):
        await process.handlers.read(caller.merchant_id, "test", intent.id)
    for merchant_id, mode, name in (
        (a_caller().merchant_id, "test", intent.id),
        (caller.merchant_id, "live", intent.id),
        (caller.merchant_id, "test", new_id("pi", caller.merchant_id)),
        (caller.merchant_id, "test", "pi_1"),
    ):
        with pytest.raises(ResourceMissing):
            await process.handlers.read(merchant_id, mode, name)


async def test_old_keys_are_forgotten_unless_their_call_still_runs(
    process: IntentProcess, purger: Database, caller: Caller
) -> None:
    for key, created, response in (
        ("old", "2020-01-01", b"1"),
        ("running", "2020-01-01", None),
        ("new", "2026-01-02", b"1"),
    ):
        await as_owner(
            process.database,
            "insert into idempotency_keys values (%(id)s, 'test', %(key)s, '', %(response)s,"
            " %(created)s)",
            id=caller.merchant_id,
            key=key,
            response=response,
            created=created,
        )

    assert await forget(purger, FORGET_KEYS, datetime(2026, 1, 1, tzinfo=UTC)) == 1
    rows = await as_owner(
        process.database,
        "select key from idempotency_keys where merchant_id = %(id)s order by 1",
        id=caller.merchant_id,
    )
    assert [row["key"] for row in rows] == ["new", "running"]


async def test_consumed_events_are_forgotten_when_none_can_come_again(
    process: IntentProcess,
    purger: Database,
    caller: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chassis.retention.FORGET_AT_ONCE", 2)
    await as_owner(
        process.database,
        "insert into consumed_events select %(id)s, number::text, date '2026-01-01' - number"
        " from generate_series(-3, 5) number",
        id=caller.merchant_id,
    )

    assert await forget(purger, FORGET_CONSUMED, datetime(2026, 1, 1, tzinfo=UTC)) == 5
    rows = await as_owner(
        process.database,
        "select event_id from consumed_events where consumer = %(id)s order by created",
        id=caller.merchant_id,
    )
    assert [row["event_id"] for row in rows] == ["0", "-1", "-2", "-3"]


@dataclass
class FakeArchive:
    """An archive that has each row from some time after its payment began."""

    rows: list[tuple[timedelta, ArchivedRow]]
    asked: list[tuple[timedelta, int]] = field(default_factory=list)

    async def changed(
        self, payment_intent_ids: Collection[str], since: datetime, until: datetime
    ) -> list[ArchivedRow]:
        """Return what it has of a stretch of time."""
        within = until - since - CLOCKS_APART
        self.asked.append((within, len(payment_intent_ids)))
        return [
            row
            for after, row in self.rows
            if after <= within and row.values["id"] in payment_intent_ids
        ]


async def test_a_change_that_came_late_is_looked_for_further_on(
    postgres: DatabaseServer, tls: Path, caller: Caller
) -> None:
    url = postgres.database("intent")
    database, _ = await database_and_settings(url, tls)
    name = str(database.engine.url.database)
    purging, _ = await database_and_settings(postgres.url("intent_retention", name), tls)
    process = IntentProcess(database, FakeClock())
    for _ in range(4):
        await process.intent(caller, Status.SUCCEEDED)
    at_once, in_hours, in_kafka_alone, never = await archived(database, "payment_intents", caller)
    archive: Any = FakeArchive(
        [
            (timedelta(seconds=1), at_once),
            (timedelta(hours=5), in_hours),
            (timedelta(seconds=1), replace(in_kafka_alone, is_archived=False)),
        ]
    )

    soon = process.clock.now() + timedelta(days=1)
    report = await purge_old(OldIntents(purging), archive, soon)
    again = await purge_old(OldIntents(purging), archive, soon)

    stay = await archived(database, "payment_intents", caller)
    for each in (database, purging):
        await each.close()
    await process.store.close()
    assert (report, again) == (Report(purged=2, kept=2), Report(purged=0, kept=2))
    assert stay == [in_kafka_alone, never]
    assert [count for _, count in archive.asked[:3]] == [4, 3, 2]


@pytest.fixture(scope="module")
async def txn_purger(
    postgres: DatabaseServer, txn_databases: list[Database], tls: Path
) -> AsyncIterator[Database]:
    """Connect to the database of txn_svc as the role that purges."""
    name = str(txn_databases[0].engine.url.database)
    database, _ = await database_and_settings(postgres.url("txn_retention", name), tls)
    yield database
    await database.close()


@pytest.fixture
def txn(txn_databases: list[Database]) -> TxnProcess:
    """Return a process of txn_svc."""
    return TxnProcess(txn_databases[0])


async def rows_of(txn: TxnProcess, caller: Caller) -> list[ArchivedRow]:
    tables = ("transactions", "attempts")
    return [row for each in tables for row in await archived(txn.database, each, caller)]


async def test_a_payment_s_transactions_go_whole_with_their_attempts(
    txn: TxnProcess, txn_purger: Database, caller: Caller
) -> None:
    paid = await txn.settled(caller, APPROVED)
    rows = await rows_of(txn, caller)
    purge = OldTransactions(txn_purger, grpc.aio.insecure_channel(NOWHERE)).purge

    assert await purge(rows[:1], LATER) == set()  # its attempt is not in the archive
    assert (
        await purge([rows[0], replace(rows[1], values=rows[1].values | {"version": 9})], LATER)
        == set()
    )
    assert await rows_of(txn, caller) == rows
    assert await purge(rows, LATER) == {paid.transaction.payment_intent_id}

    assert await rows_of(txn, caller) == []
    assert await left(txn.database, caller) == [(paid.transaction.payment_intent_id, "test", 2)]
    assert await purge(rows, LATER) == set()


async def test_a_charge_that_is_open_stays(
    txn: TxnProcess, txn_purger: Database, caller: Caller
) -> None:
    await txn.recorded(caller)
    rows = await rows_of(txn, caller)
    purge = OldTransactions(txn_purger, grpc.aio.insecure_channel(NOWHERE)).purge

    assert await purge(rows, LATER) == set()
    assert await rows_of(txn, caller) == rows


async def test_purged_transactions_are_read_as_they_were(txn: TxnProcess, caller: Caller) -> None:
    paid = await txn.settled(caller, APPROVED)
    rows = await rows_of(txn, caller)

    [(transaction, attempts)] = charges_of(rows)

    found, authorization, _ = await txn.store.reads.submit(
        (caller.merchant_id, paid.transaction.id)
    )
    assert (transaction, attempts) == (found, [authorization])
