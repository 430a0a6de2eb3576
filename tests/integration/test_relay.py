"""The relay of events: what it brings to Kafka while their capture stands still, and what not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.partitioner.default import murmur2

from audit_svc.domain.record import Record
from chassis.config import OutboxSettings
from chassis.database import Database, Row
from chassis.errors import ServiceUnavailable
from chassis.relay import Relay
from chassis.slots import slot_of
from tests.integration.conftest import DatabaseServer
from tests.integration.kafka_parts import Broker, a_broker
from tests.integration.owner import as_owner
from tests.integration.settings import database_and_settings, settings_of
from tests.topics import read_topics

pytestmark = pytest.mark.integration

TOPIC = "events.payment_intent"
AFTER_S = 30.0
SPAN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INSERT = """
insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent, created)
values (%(id)s, 'payment_intent', %(key)s, 'payment.created', %(payload)s, %(traceparent)s,
    clock_timestamp() - %(age)s)
"""
PAST = """
with row as (update outbox set created = created - %(by)s)
update capture_progress set marked = marked - %(by)s, captured_until = captured_until - %(by)s,
    trusted_from = trusted_from - %(by)s
"""
WRITE = "select pg_logical_emit_message(false, 'noise', '')"
CREATE_SLOT = "select pg_create_logical_replication_slot(%s, 'pgoutput')"
ADVANCE_SLOT = "select pg_replication_slot_advance(%s, pg_current_wal_lsn())"
DROP_SLOT = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s
"""
_numbers = count(1)


class Outbox:
    """A database of intent_svc with its slot, which nobody reads, and relays of its events."""

    def __init__(self, server: DatabaseServer, database: Database, broker: Broker) -> None:
        self.database = database
        self._server = server
        self._broker = broker
        self._relays: list[Relay] = []
        self.key = f"pi_{next(_numbers)}"

    def relay(self, kafka: str | None = None, certificate: str = "intent") -> Relay:
        """Return the relay of a process. kafka: where Kafka is, if it is not the broker."""
        settings = OutboxSettings(
            **settings_of("intent", self._broker.tls).model_dump()
            | {
                "relay_after_s": AFTER_S,
                "kafka_bootstrap": kafka or self._broker.kafka.bootstrap,
                "tls_certificate": self._broker.tls / f"{certificate}.crt",
                "tls_key": self._broker.tls / f"{certificate}.key",
            }
        )
        self._relays.append(Relay(settings, self.database, TOPIC))
        return self._relays[-1]

    async def event(self, age_s: float, traceparent: str | None = None) -> str:
        """Write an event of one payment that is so old; return its id."""
        event_id = f"evt_{next(_numbers)}"
        await as_owner(
            self.database,
            INSERT,
            id=event_id,
            key=self.key,
            payload=event_id.encode(),
            traceparent=traceparent,
            age=timedelta(seconds=age_s),
        )
        return event_id

    async def later(self, seconds: float) -> Relay:
        """Let everything be so much older; return the relay of a process that starts then."""
        await self.close()
        await as_owner(self.database, PAST, by=timedelta(seconds=seconds))
        return self.relay()

    async def progress(self) -> Row:
        """Return how far events are known to be in Kafka."""
        [row] = await self.database.fetch("select captured_until, marked from capture_progress")
        return row

    def ask(self, sql: str) -> None:
        """Have the superuser do something to the slot."""
        url = self.database.engine.url.render_as_string(hide_password=False)
        with self._server.admin(url) as admin:
            admin.execute(sql.encode(), [slot_of("intent")])

    async def in_kafka(self) -> list[Record]:
        """Return this payment's records, in order."""
        read = await asyncio.to_thread(read_topics, self._broker.operator(), [TOPIC])
        return [
            record for rows in read.values() for record in rows if record.key == self.key.encode()
        ]

    async def ids(self) -> list[str]:
        """Return the ids of this payment's events in Kafka, in order."""
        return [(dict(record.headers)["id"] or b"").decode() for record in await self.in_kafka()]

    def capture(self, event_id: str) -> None:
        """Send an event as Debezium does."""
        with closing(KafkaProducer(**self._broker.client("connect"))) as producer:
            headers = [("id", event_id.encode())]
            producer.send(TOPIC, key=self.key.encode(), headers=headers).get(timeout=30)

    async def close(self) -> None:
        """End the relays."""
        for relay in self._relays:
            await relay.stop()


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """Run a broker."""
    made = a_broker(tmp_path_factory.mktemp("kafka"))
    async with made.running():
        yield made


@pytest.fixture
async def outbox(postgres: DatabaseServer, tls: Any, broker: Broker) -> AsyncIterator[Outbox]:
    """Return a database whose slot nobody reads."""
    database, _ = await database_and_settings(postgres.database("intent"), tls)
    made = Outbox(postgres, database, broker)
    made.ask(CREATE_SLOT)
    await database.fetch(WRITE)
    await made.relay().look()  # sets a mark behind what the slot's reader has confirmed
    yield made
    await made.close()
    await database.close()
    made.ask(DROP_SLOT)


async def test_while_capture_goes_on_kafka_is_not_even_asked(outbox: Outbox) -> None:
    await outbox.later(AFTER_S + 1)
    relay = outbox.relay(kafka="127.0.0.1:1")
    before = await outbox.progress()
    await outbox.event(age_s=AFTER_S + 1)

    outbox.ask(ADVANCE_SLOT)
    await relay.look()

    after = await outbox.progress()
    assert after["captured_until"] == before["marked"]
    assert after["marked"] - before["marked"] > timedelta(seconds=AFTER_S)


async def test_what_stands_in_no_topic_after_the_set_time_is_sent_as_debezium_does(
    outbox: Outbox,
) -> None:
    relay = await outbox.later(400)
    first = await outbox.event(300, SPAN)
    second, third = await outbox.event(299), await outbox.event(AFTER_S + 1)
    young = await outbox.event(AFTER_S / 2)

    await relay.look()
    sent = await outbox.in_kafka()
    await relay.look()
    again = await outbox.ids()
    relay = await outbox.later(AFTER_S)
    await relay.look()

    assert [record.value for record in sent] == [each.encode() for each in (first, second, third)]
    assert {record.key for record in sent} == {outbox.key.encode()}
    assert sent[0].headers == (
        ("id", first.encode()),
        ("eventType", b"payment.created"),
        ("traceparent", SPAN.encode()),
    )
    [partition] = {record.partition for record in sent}
    assert partition == (murmur2(outbox.key.encode()) & 0x7FFFFFFF) % 6
    assert again == [first, second, third]
    assert await outbox.ids() == [first, second, third, young]


async def test_what_is_in_the_topic_is_not_sent_again(outbox: Outbox) -> None:
    relay = await outbox.later(400)
    captured, missing = await outbox.event(300), await outbox.event(200)
    await asyncio.to_thread(outbox.capture, captured)

    await relay.look()

    assert await outbox.ids() == [captured, missing]


async def test_a_slot_that_is_gone_is_not_waited_for(outbox: Outbox) -> None:
    relay = outbox.relay()
    old = await outbox.event(AFTER_S + 1)
    await outbox.event(0)
    outbox.ask(DROP_SLOT)

    await relay.look()

    assert await outbox.ids() == [old]


async def test_a_slot_that_was_made_anew_is_not_believed_of_what_was_before_it(
    outbox: Outbox,
) -> None:
    relay = outbox.relay()
    outbox.ask(DROP_SLOT)
    lost = [await outbox.event(0)]
    await relay.look()
    lost.append(await outbox.event(0))  # nobody looked between this and the new slot
    outbox.ask(CREATE_SLOT)
    outbox.ask(ADVANCE_SLOT)

    await relay.look()
    at_once = await outbox.ids()
    relay = await outbox.later(AFTER_S + 1)
    await relay.look()
    in_time = await outbox.ids()
    outbox.ask(ADVANCE_SLOT)
    await outbox.event(AFTER_S + 1)
    await relay.look()

    assert (at_once, in_time) == ([], lost)
    assert await outbox.ids() == lost  # of what came later capture is believed


async def test_one_process_relays_and_another_goes_on_when_it_ends(outbox: Outbox) -> None:
    one, other = await outbox.later(400), outbox.relay()
    await one.look()
    first = await outbox.event(AFTER_S + 10)

    await other.look()
    meanwhile = await outbox.ids()
    await one.stop()
    await other.look()

    assert meanwhile == []
    assert await outbox.ids() == [first]


async def test_what_can_not_be_sent_is_sent_when_it_can(outbox: Outbox) -> None:
    relay, refused = await outbox.later(400), outbox.relay(certificate="recon")
    event = await outbox.event(300)

    with pytest.raises(ServiceUnavailable):
        await refused.look()
    before = await outbox.ids()
    await relay.look()

    assert before == []
    assert await outbox.ids() == [event]


async def test_a_transaction_that_was_long_under_way_is_not_missed(outbox: Outbox) -> None:
    relay = await outbox.later(AFTER_S + 1)
    late = await outbox.event(AFTER_S + 40)  # older than the time up to which all is captured

    await relay.look()

    assert await outbox.ids() == [late]
