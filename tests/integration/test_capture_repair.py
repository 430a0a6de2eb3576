"""A slot that PostgreSQL gives up: what was lost is read again, and told of as that.

And a second capture, which does not lose it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from audit_svc.clients import KafkaReader
from audit_svc.domain.gaps import RowName
from audit_svc.domain.record import read_change
from audit_svc.handlers.gaps import CaptureCheck
from audit_svc.store.archive import Archive
from audit_svc.store.tables import CapturedDatabase
from chassis.database import Database
from chassis.heartbeat import heartbeat
from chassis.identity import Caller
from chassis.ids import new_id
from intent_svc.domain.payment_intent import PaymentIntent, Status
from k8s.kustomize import render
from k8s.render import SECOND_CAPTURE
from sandbox.capture import Access, CaptureControl
from sandbox.platform.connectors import RUNNING
from sandbox.platform.kafka import configuration, resources
from tests.fakes import FakeClock
from tests.integration.audit_parts import Auditing
from tests.integration.conftest import DatabaseServer
from tests.integration.connect_parts import Worker, a_worker
from tests.integration.intent_parts import IntentProcess
from tests.integration.kafka_parts import Broker, a_broker
from tests.integration.settings import database_and_settings
from tests.integration.txn_parts import TxnProcess, a_beginning, a_step, a_transaction
from tests.lost_slots import lose_slot, write_wal
from tests.topics import read_topics
from txn_svc.store.rows import Step

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # Kafka and Connect, twice

CHANGES, EVENTS = "cdc.intent.payment_intents", "events.payment_intent"
WAIT_S_MAX = 90.0


@asynccontextmanager
async def _running_broker() -> AsyncIterator[Broker]:
    """Run a broker whose topics are empty."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-capture-"))
    running = a_broker(folder)
    try:
        async with running.running():
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Ground:
    """intent_svc's part that writes, on a database that is captured, and who archives that."""

    postgres: DatabaseServer
    database: str
    intents: IntentProcess
    worker: Worker
    auditing: Auditing
    access: Access

    @property
    def control(self) -> CaptureControl:
        """What the commands `paymesh capture …` use."""
        return CaptureControl(self.access)


@pytest.fixture(scope="module")
async def ground(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Ground]:
    """Run the connector `intent` on a new database, and leave no slot behind."""
    database, _ = await database_and_settings(postgres.database("intent"), tls)
    name = str(database.engine.url.database)
    ours = [_connector(resources("connectors.yaml"), "intent")]
    async with _running_broker() as broker, a_worker(broker, postgres, name, ours) as worker:
        (broker.folder / "archive").mkdir()
        auditing = Auditing(broker, broker.folder, (broker.folder / "archive").as_uri())
        url = postgres.server.url("debezium", name)
        access = Access(auditing.url, broker.operator(), worker.address, {"intent": url})
        intents = IntentProcess(database, FakeClock())
        beating = heartbeat(database)
        await beating.start()
        yield Ground(postgres, name, intents, worker, auditing, access)
        await beating.stop()
    await database.close()
    with psycopg.connect(postgres.server.superuser_url(name), autocommit=True) as admin:
        admin.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def _connector(rendered: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
    [found] = [
        each
        for each in rendered
        if each["kind"] == "KafkaConnector" and each["metadata"]["name"] == name
    ]
    return found


def _lose_slot(postgres: DatabaseServer, slot: str) -> None:
    with psycopg.connect(postgres.server.superuser_url("postgres"), autocommit=True) as admin:
        write_wal(admin)
        lose_slot(admin, slot)


async def test_what_a_lost_slot_held_is_read_again_and_the_story_says_so(
    ground: Ground, caller: Caller
) -> None:
    intents, control = ground.intents, ground.control
    early = await intents.intent(caller)
    with ground.auditing.process() as audit_svc:
        whole = await control.look("intent")
        await ground.worker.connectors.stop("intent")
        late = [await intents.intent(caller, Status.SUCCEEDED) for _ in range(3)]
        processing = await intents.begin(early, "txn_lost")
        await asyncio.to_thread(_lose_slot, ground.postgres, "paymesh_intent")

        torn = await control.look("intent")
        lately = CaptureControl(ground.access, since_us=whole.comparison.judged_until_us)
        recent = await lately.look("intent")
        repair = await control.repair("intent")
        after = await intents.intent(caller, Status.PROCESSING)
        healed = await control.look("intent")
        await ground.auditing.all_archived()
        stories = {each.id: await audit_svc.history(each.id) for each in (early, *late, after)}
        verdict = await asyncio.to_thread(ground.auditing.verdict)

    lost = frozenset(_name(each) for each in (early, *late))
    assert (whole.comparison.is_clean, whole.slot.status) == (True, "reserved")
    assert torn.slot.status == "lost"
    assert torn.comparison.lost == recent.comparison.lost == lost
    assert torn.comparison.verified_until_us < torn.comparison.judged_until_us
    assert (repair.is_slot_new, repair.reread) == (True, lost)
    assert repair.after.comparison.is_clean
    assert (healed.comparison.is_clean, healed.states) == (True, RUNNING)
    assert verdict.breaks == ()
    for intent in (early, *late, after):
        [row] = stories[intent.id].rows
        assert not row.HasField("gap")
        assert row.HasField("reread") is (_name(intent) in lost)
        now = await intents.handlers.get(caller, intent.id)
        assert json.loads(row.values)["version"] == now.version
    assert [change.action for change in stories[early.id].changes] == ["created", "reread"]
    assert [change.action for change in stories[late[0].id].changes] == ["reread"]
    assert [change.action for change in stories[after.id].changes] == ["created", "updated"]
    assert processing.version == 2


async def test_a_repair_that_was_broken_off_is_brought_to_its_end(
    ground: Ground, caller: Caller
) -> None:
    connectors = ground.worker.connectors
    configured = await connectors.configuration("intent")
    await connectors.stop("intent")
    await connectors.forget_position("intent")
    await connectors.configure("intent", configured | {"snapshot.mode": "no_data"})
    intent = await ground.intents.intent(caller, Status.FAILED)

    repair = await ground.control.repair("intent")

    assert repair.before.states == ["STOPPED"]
    assert (repair.after.states, repair.after.comparison.is_clean) == (RUNNING, True)
    assert await connectors.configuration("intent") == configured
    versions, _ = await asyncio.to_thread(_found, ground.auditing.broker, [intent])
    assert versions == Counter((intent.id, version) for version in (1, 2, 3))


async def test_all_rows_that_share_a_payment_are_read_again(
    ground: Ground, tls: Path, caller: Caller
) -> None:
    """Debezium buffers one row for each key of a message, which is a payment's for these."""
    database, _ = await database_and_settings(ground.postgres.database("txn"), tls)
    async with _captured_as_well(ground, "txn", str(database.engine.url.database)) as check:
        intent_id = new_id("pi", caller.merchant_id)
        steps = [await _recorded(database, caller, intent_id, key) for key in "abc"]
        assert (await asyncio.to_thread(check.compare)).is_clean
        rows = {RowName("attempts", (caller.merchant_id, step.attempt.id)) for step in steps}

        await asyncio.to_thread(check.reread, rows)

        found = await asyncio.to_thread(ground.auditing.in_kafka)
    await database.close()
    changes = [change for each in found.values() for change in map(read_change, each) if change]
    reread = [str((change.after or {})["id"]) for change in changes if change.op == "r"]
    assert {step.attempt.id for step in steps} <= set(reread)


@asynccontextmanager
async def _captured_as_well(
    ground: Ground, service: str, database: str
) -> AsyncIterator[CaptureCheck]:
    """Let the worker capture another database for as long, and yield who compares it."""
    connectors, postgres = ground.worker.connectors, ground.postgres.server
    settings = postgres.connector_settings() | {"database.dbname": database}
    resource = _connector(resources("connectors.yaml"), service)
    await connectors.configure(service, configuration(resource, settings))
    try:
        await connectors.until(service, RUNNING)
        captured = CapturedDatabase(postgres.url("debezium", database), f"paymesh_{service}")
        archive, kafka = Archive(ground.access.archive), KafkaReader(ground.access.kafka)
        yield await asyncio.to_thread(CaptureCheck, archive, kafka, captured, service, since_us=0)
    finally:
        await connectors.stop(service)
        await connectors.call("DELETE", f"/connectors/{service}")
        with psycopg.connect(postgres.superuser_url(database), autocommit=True) as admin:
            admin.execute("select pg_drop_replication_slot(%s)", [f"paymesh_{service}"])


async def _recorded(database: Database, caller: Caller, intent_id: str, key: str) -> Step:
    """Store a transaction of an intent with an attempt."""
    store = TxnProcess(database).store
    transaction = a_transaction(caller, intent_id)
    assert await store.beginnings.submit(a_beginning(transaction, key)) is None
    step = a_step(transaction)
    await store.records.submit(step)
    return step


async def test_a_second_capture_has_every_change_once_while_the_first_is_away(
    ground: Ground, caller: Caller
) -> None:
    """The last one here, since it leaves the first capture dead."""
    theirs = [_connector(render(SECOND_CAPTURE), "intent")]
    async with (
        _running_broker() as second,
        a_worker(second, ground.postgres, ground.database, theirs),
    ):
        made = [await ground.intents.intent(caller, Status.SUCCEEDED)]
        await ground.worker.kill()
        made += [await ground.intents.intent(caller, Status.FAILED) for _ in range(3)]
        outbox = [event.id for each in made for event in await ground.intents.events(each.id)]
        wanted = Counter((each.id, version) for each in made for version in (1, 2, 3))
        found, events = await _until_found(second, made, wanted.total() + len(outbox))

        missing, _ = await asyncio.to_thread(_found, ground.auditing.broker, made[1:])
    assert found == wanted
    assert events == Counter(outbox)
    assert len(outbox) == len(made) * 3
    assert missing == Counter()


async def _until_found(
    broker: Broker, made: list[PaymentIntent], count: int
) -> tuple[Counter[tuple[str, int]], Counter[str]]:
    """Return what a broker has of some intents as soon as it is so much, or after a while."""
    deadline = time.monotonic() + WAIT_S_MAX
    while True:
        versions, events = await asyncio.to_thread(_found, broker, made)
        if versions.total() + events.total() >= count or time.monotonic() > deadline:
            return versions, events
        await asyncio.sleep(1)


def _found(
    broker: Broker, made: list[PaymentIntent]
) -> tuple[Counter[tuple[str, int]], Counter[str]]:
    """Return how often a broker has each version of these intents, and each of their events."""
    keys = {each.id.encode() for each in made}
    places = read_topics(broker.operator(), [CHANGES, EVENTS]).values()
    records = [record for rows in places for record in rows if record.key in keys]
    images = [change.after for change in map(read_change, records) if change and change.after]
    versions = Counter((image["id"], image["version"]) for image in images)
    events = [dict(record.headers)["id"] for record in records if record.topic == EVENTS]
    return versions, Counter((each or b"").decode() for each in events)


def _name(intent: PaymentIntent) -> RowName:
    return RowName("payment_intents", (intent.merchant_id, intent.id))
