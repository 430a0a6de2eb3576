"""What leaves the databases: events, the audit trail, dead letters, and never card data."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import TopicPartition
from paymesh.events.v1 import attempt_event_pb2, payment_intent_event_pb2
from pydantic import SecretStr

from chassis.config import ServiceSettings
from chassis.consumer import Consumer, Record
from sandbox.operator_access import kafka_of
from sandbox.state import StateDir
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED_MASTERCARD, Merchant

pytestmark = pytest.mark.e2e

CANARY = "4111111111111111"


def _records(mesh: Mesh, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Read a topic from its beginning until there is enough, or for 30 seconds."""
    consumer = KafkaConsumer(
        topic,
        **kafka_of(mesh.status()),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    found: list[Any] = []
    deadline = time.monotonic() + 30
    try:
        while time.monotonic() < deadline and not enough(found):
            for rows in consumer.poll(timeout_ms=500).values():
                found += rows
    finally:
        consumer.close()
    return found


def _value_at(mesh: Mesh, partition: TopicPartition, offset: int) -> bytes:
    """Return the value of one record."""
    consumer = KafkaConsumer(**kafka_of(mesh.status()))
    try:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        while not (polled := consumer.poll(timeout_ms=500, max_records=1)):
            continue
        value: bytes = polled[partition][0].value
        return value
    finally:
        consumer.close()


def _of(records: list[Any], intent_id: str) -> list[Any]:
    return [row for row in records if row.key == intent_id.encode()]


async def test_a_payments_story_is_on_its_topics_in_order(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent(1234)
    await merchant.charge(intent["id"], APPROVED_MASTERCARD)

    events = await asyncio.to_thread(
        _records, mesh, "events.payment_intent", lambda rows: len(_of(rows, intent["id"])) >= 3
    )
    attempts = await asyncio.to_thread(
        _records, mesh, "events.attempt", lambda rows: len(_of(rows, intent["id"])) >= 2
    )

    story = [
        payment_intent_event_pb2.PaymentIntentEvent.FromString(row.value)
        for row in _of(events, intent["id"])
    ]
    assert [(event.version, event.type) for event in story] == [
        (1, "payment.created"),
        (2, "payment.processing"),
        (3, "payment.succeeded"),
    ]
    assert not story[0].payment_intent.HasField("client_secret")
    headers = [dict(row.headers) for row in _of(events, intent["id"])]
    assert [row["id"].decode() for row in headers] == [event.id for event in story]
    exchange = [
        attempt_event_pb2.AttemptEvent.FromString(row.value) for row in _of(attempts, intent["id"])
    ]
    assert [event.type for event in exchange] == ["attempt.recorded", "attempt.succeeded"]
    assert exchange[1].attempt.network == "mastercard_sim"
    partitions = {
        row.partition for row in (*_of(events, intent["id"]), *_of(attempts, intent["id"]))
    }
    assert len(partitions) == 1


async def test_the_audit_trail_has_every_change_with_what_was_before(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await merchant.create_intent(4321)
    await merchant.charge(intent["id"])

    rows = await asyncio.to_thread(
        _records,
        mesh,
        "cdc.intent.payment_intents",
        lambda rows: len(_of(rows, intent["id"])) >= 3,
    )
    transactions = await asyncio.to_thread(
        _records, mesh, "cdc.txn.transactions", lambda rows: len(_of(rows, intent["id"])) >= 2
    )

    changes = [json.loads(row.value) for row in _of(rows, intent["id"])]
    assert [change["op"] for change in changes] == ["c", "u", "u"]
    assert changes[0]["before"] is None
    assert [change["after"]["status"] for change in changes] == [
        "created",
        "processing",
        "succeeded",
    ]
    assert changes[2]["before"] == changes[1]["after"]
    moves = [json.loads(row.value) for row in _of(transactions, intent["id"])]
    assert [move["after"]["status"] for move in moves] == ["pending", "succeeded"]


async def test_a_record_that_can_not_be_read_is_set_aside_and_the_rest_goes_on(
    mesh: Mesh, merchant: Merchant
) -> None:
    poison_id = f"evt_{uuid.uuid4().hex}"
    intent = await merchant.create_intent()

    def send() -> None:
        producer = KafkaProducer(**kafka_of(mesh.status()))
        producer.send(
            "events.payment_intent",
            key=intent["id"].encode(),
            value=b"\xff\xffnot a message",
            headers=[("id", poison_id.encode()), ("eventType", b"payment.created")],
        ).get(timeout=10)
        producer.close()

    await asyncio.to_thread(send)
    await merchant.charge(intent["id"])
    dead = await asyncio.to_thread(
        _records,
        mesh,
        "dead-letters.webhook-payments",
        lambda rows: any(dict(row.headers)["id"].decode() == poison_id for row in rows),
    )

    [letter] = [row for row in dead if dict(row.headers)["id"].decode() == poison_id]
    assert dict(letter.headers)["reason"] == b"not a PaymentIntentEvent"
    assert letter.value is None  # its bytes stay where they are
    place = {name: value.decode() for name, value in letter.headers}
    topic_partition = TopicPartition(place["topic"], int(place["partition"]))
    assert topic_partition.topic == "events.payment_intent"
    assert await asyncio.to_thread(_value_at, mesh, topic_partition, int(place["offset"])) == (
        b"\xff\xffnot a message"
    )
    for _ in range(100):
        listed = await merchant.call("GET", "/events?type=payment.succeeded")
        if listed.json["data"]:
            break
        await asyncio.sleep(0.1)
    assert listed.json["data"][0]["data"]["object"]["id"] == intent["id"]


async def test_a_topic_that_is_made_after_its_consumer_started_is_read(
    mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    topic, seen = f"events.{uuid.uuid4().hex}", asyncio.Event()
    tls = StateDir(mesh.state_dir).tls
    settings = ServiceSettings(
        service_name="test",
        listen="",
        metrics_listen="",
        database_url=SecretStr(""),
        kafka_bootstrap=mesh.status()["kafka"],
        tls_certificate=tls / "operator.crt",
        tls_key=tls / "operator.key",
        tls_ca=tls / "ca.crt",
        jwks_file=Path(),
    )

    async def handle(records: Sequence[Record]) -> None:
        if any(record.event_id == "evt_1" for record in records):
            seen.set()

    def make_and_send() -> None:
        admin = KafkaAdminClient(**kafka_of(mesh.status()))
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        admin.close()
        producer = KafkaProducer(**kafka_of(mesh.status()))
        producer.send(topic, b"1", headers=[("id", b"evt_1")]).get(timeout=30)
        producer.close()

    consumer = Consumer(settings, f"group-{topic}", [topic], handle)
    await consumer.start()
    try:
        for _ in range(300):
            if "UnknownTopicOrPartition" in caplog.text:
                break
            await asyncio.sleep(0.1)
        await asyncio.to_thread(make_and_send)
        await asyncio.wait_for(seen.wait(), timeout=60)
    finally:
        await consumer.stop()

    assert "UnknownTopicOrPartition" in caplog.text


async def test_no_file_of_a_whole_run_holds_a_card_number(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent()
    charged = await merchant.charge(intent["id"], CANARY)
    await merchant.call(
        "POST",
        f"/payment-intents/{intent['id']}/transactions",
        content=b'{"type":"charge","card":{"number":"%s","cvv":1}}' % CANARY.encode(),
    )
    assert charged.json["status"] == "succeeded"
    await asyncio.sleep(2)  # logs are flushed about once a second

    holders = [
        str(path)
        for path in mesh.state_dir.rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]

    assert holders == []
