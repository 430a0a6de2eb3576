"""Capture is watched from the databases to behind Kafka, and while it stands still events come."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition
from standardwebhooks.webhooks import Webhook

from audit_svc.domain.record import Record
from audit_svc.domain.topics import EVENTS, HEARTBEATS
from sandbox.operator_access import kafka_of
from sandbox.topology import SERVICES
from tests.e2e.conftest import Delivery, Mesh
from tests.e2e.merchant import Merchant
from tests.topics import read_topics

pytestmark = pytest.mark.e2e

LOOKS_MAX = 480
LOOK_S = 0.25
SILENT_S = 5.0
NOW = "select pg_current_wal_insert_lsn()::text"
BEHIND = """
select slot_name from pg_replication_slots
where slot_name like 'paymesh%%' and confirmed_flush_lsn < cast(%s as pg_lsn)
"""
GROUPS = {"events.payment_intent": ["webhook-payments"]} | {
    "events.attempt": ["intent-attempts", "recon-attempts"]
}
TOLD_RECON = "select status from attempts where payment_intent_id = %s"
INTENT = "select status, version from payment_intents where id = %s"
DELIVERIES = """
select d.event_id, d.tries from deliveries d join events e on e.id = d.event_id
where d.merchant_id = %s
"""


async def _until(what: str, holds: Callable[[], bool]) -> None:
    for _ in range(LOOKS_MAX):
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(LOOK_S)
    pytest.fail(f"never: {what}")


def _silent(mesh: Mesh) -> set[str]:
    return {
        database
        for database in HEARTBEATS.values()
        if mesh.metric("audit_svc", "paymesh_heartbeat_age_seconds", f'database="{database}"')
        > SILENT_S
    }


@contextmanager
def nobody_captures(mesh: Mesh) -> Iterator[None]:
    """Let Connect stand still, with all of its connections open."""
    connect = mesh.process("connect")["pid"]
    os.kill(connect, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(connect, signal.SIGCONT)


def _log(mesh: Mesh, name: str) -> str:
    return (mesh.state_dir / "logs" / f"{name}.log").read_text()


async def test_heartbeats_of_all_databases_come_and_their_slots_go_on_by_them(mesh: Mesh) -> None:
    await _until("all heartbeats are heard", lambda: not _silent(mesh))
    [(written,)] = mesh.query("edge", NOW)

    await _until("slots go on", lambda: mesh.query("edge", BEHIND, written) == [])

    for process, (service, _) in SERVICES.items():
        if service in HEARTBEATS.values():
            await _until(f"{process} sees its slot", partial(_is_slot_well, mesh, process, service))


def _is_slot_well(mesh: Mesh, process: str, service: str) -> bool:
    slot = f'slot="paymesh_{service}"'
    return (
        mesh.metric(process, "paymesh_slot_active", slot) == 1
        and mesh.metric(process, "paymesh_slot_safe_wal_bytes", slot) > 0
        and mesh.metric(process, "paymesh_slot_lost", slot) == 0
    )


async def test_while_capture_stands_still_alarms_are_raised_events_come_and_count_once(
    mesh: Mesh, merchant: Merchant, receiver: tuple[str, asyncio.Queue[Delivery]]
) -> None:
    url, got = receiver
    endpoint = await merchant.call(
        "POST", "/webhook-endpoints", {"url": url, "enabledEvents": ["*"]}
    )
    await _until("all heartbeats are heard", lambda: not _silent(mesh))

    with nobody_captures(mesh):
        intent_id = (await merchant.create_intent(50_000))["id"]
        charged = await merchant.charge(intent_id)
        await _until("silence is seen", lambda: _silent(mesh) == set(HEARTBEATS.values()))
        await _until("events are late", lambda: _late(mesh) > 0)
        told = [await _next(got, endpoint.json["secret"]) for _ in range(3)]
        await _until(
            "recon knows", lambda: mesh.query("recon", TOLD_RECON, intent_id) == [("succeeded",)]
        )
        await _until("events are not late any more", lambda: _late(mesh) == 0)
        relayed = await asyncio.to_thread(_records, mesh, intent_id)
    await _until("all heartbeats are heard again", lambda: not _silent(mesh))
    await _until("capture brings them too", lambda: len(_records(mesh, intent_id)) == 10)
    again = await asyncio.to_thread(_records, mesh, intent_id)
    await _until("both are read", lambda: _are_read(mesh, again))

    assert charged.json["status"] == "succeeded"
    assert sorted(told) == ["payment.created", "payment.processing", "payment.succeeded"]
    assert len(relayed) == 5
    assert _told(again) == [each for each in _told(relayed) for _ in range(2)]
    assert mesh.query("recon", TOLD_RECON, intent_id) == [("succeeded",)]
    assert mesh.query("intent", INTENT, intent_id) == [("succeeded", 3)]
    delivered = mesh.query("webhook", DELIVERIES, merchant.keys.merchant_id)
    assert len(delivered) == len({event_id for event_id, _ in delivered}) == 3
    assert {tries for _, tries in delivered} == {1}
    for service, events in (("intent_svc", 3), ("txn_svc", 2)):
        assert mesh.metric(service, "paymesh_relayed_events_total") >= events
        assert "capture stands still, relaying events" in _log(mesh, service)
    assert "events of attempts are late" in _log(mesh, "recon_svc")
    for line in ("a database's heartbeat does not come", "a database's heartbeat comes again"):
        assert line in _log(mesh, "audit_svc")


def _late(mesh: Mesh) -> float:
    return mesh.metric("recon_svc", "paymesh_late_attempt_events")


async def _next(got: asyncio.Queue[Delivery], secret: str) -> str:
    async with asyncio.timeout(120):
        headers, content = await got.get()
    return str(Webhook(secret).verify(content, headers)["type"])


def _records(mesh: Mesh, intent_id: str) -> list[Record]:
    """Return the events of a payment, by topic and in order."""
    read = read_topics(kafka_of(mesh.status()), EVENTS)
    in_order = (record for place in sorted(read) for record in read[place])
    return [record for record in in_order if record.key == intent_id.encode()]


def _told(records: list[Record]) -> list[tuple[object, ...]]:
    """Return what records tell, wherever in their partition, those of one event together."""
    return sorted(
        (each.topic, each.partition, each.key, each.value, _headers(each)) for each in records
    )


def _headers(record: Record) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in record.headers if value is not None]


def _are_read(mesh: Mesh, records: list[Record]) -> bool:
    """Return whether every group of consumers is behind these records."""
    for record in records:
        one = TopicPartition(record.topic, record.partition)
        for group in GROUPS[record.topic]:
            with closing(KafkaConsumer(**kafka_of(mesh.status()), group_id=group)) as consumer:
                if (consumer.committed(one) or 0) <= record.offset:
                    return False
    return True
