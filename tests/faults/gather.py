"""Collects the evidence of a run: from the databases, Kafka and the networks' books."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition
from paymesh.events.v1 import attempt_event_pb2, payment_intent_event_pb2
from paymesh.intent.v1 import payment_intent_pb2
from paymesh.txn.v1 import attempt_pb2, transaction_pb2

from chassis.event_topic import RELAYING
from sandbox.breaks import daily_report
from sandbox.operator_access import kafka_of
from tests.faults.archive import archived
from tests.faults.evidence import (
    Attempt,
    Break,
    Change,
    Cleared,
    Delivery,
    Endpoint,
    Event,
    Evidence,
    Gap,
    Intent,
    LedgerRow,
    Request,
    Transaction,
)
from tests.faults.mending import captures
from tests.faults.mesh import Mesh
from tests.faults.stories import stories

TOPICS = ("events.payment_intent", "events.attempt")
TABLES = {
    "cdc.intent.payment_intents": "intent.payment_intents",
    "cdc.txn.transactions": "txn.transactions",
    "cdc.txn.attempts": "txn.attempts",
}
DRAINING_S = 90.0
STILL_S = 4.0

INTENTS = """
select id, merchant_id, description, status, amount_minor, amount_authorized_minor,
    amount_captured_minor, version, due is not null as is_due
from payment_intents order by id
"""
TRANSACTIONS = """
select id, merchant_id, payment_intent_id as intent_id, idempotency_key as key, status,
    coalesce(amount_approved_minor, 0) as approved_minor
from transactions order by id
"""
ATTEMPTS = """
select id, transaction_id, payment_intent_id as intent_id, network, rrn, status, version, reversal,
    capture_number
from attempts order by id
"""
OUTBOX = "select id, (extract(epoch from created) * 1000000)::bigint as written_us from outbox"
BREAKS = "select kind, network, payment_intent_id as intent_id from breaks order by id"

INTENT_STATUS = payment_intent_pb2.PaymentIntentStatusEnum.PaymentIntentStatus
ATTEMPT_STATUS = attempt_pb2.AttemptStatusEnum.AttemptStatus
TRANSACTION_STATUS = transaction_pb2.TransactionStatusEnum.TransactionStatus


class Trail:
    """Everything in Kafka, read from its beginning until it holds what was written."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.events: list[Event] = []
        self.changes: list[Change] = []
        self._consumer = KafkaConsumer(
            **kafka_of(status),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition)
                for topic in (*TOPICS, *TABLES)
                for partition in self._consumer.partitions_for_topic(topic) or ()
            ]
        )

    def read_until(self, outbox: Iterable[str]) -> None:
        """Read until these events are there and nothing more comes, or for a bounded time."""
        missing = set(outbox)
        deadline = time.monotonic() + DRAINING_S
        still_since = time.monotonic()
        while time.monotonic() < deadline:
            polled = self._consumer.poll(timeout_ms=500)
            for records in polled.values():
                for record in records:
                    self._keep(record)
            if polled:
                still_since = time.monotonic()
                missing -= {event.id for event in self.events}
            elif not missing and time.monotonic() - still_since > STILL_S:
                return

    def close(self) -> None:
        """Let Kafka go."""
        self._consumer.close()

    def _keep(self, record: Any) -> None:
        if record.topic in TABLES:
            self.changes.append(_change(record))
        elif record.topic == "events.payment_intent":
            self.events.append(_intent_event(record))
        else:
            self.events.append(_attempt_event(record))


def _change(record: Any) -> Change:
    value = json.loads(record.value)
    before, after = value["before"], value["after"]
    row = after or before
    table = TABLES[record.topic]
    return Change(
        table=table,
        partition=record.partition,
        offset=record.offset,
        id=row["id"],
        intent_id=row["id"] if table == "intent.payment_intents" else row["payment_intent_id"],
        before=before["status"] if before else None,
        after=after["status"] if after else None,
        version=row.get("version", 1),
        at_ms=value["source"]["ts_ms"],
        is_reread=value["source"].get("snapshot") == "incremental",
    )


def _intent_event(record: Any) -> Event:
    event = payment_intent_event_pb2.PaymentIntentEvent.FromString(record.value)
    intent = event.payment_intent
    return Event(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key.decode(),
        id=event.id,
        type=event.type,
        object_id=intent.id,
        version=event.version,
        status=INTENT_STATUS.Name(intent.status),
    )


def _attempt_event(record: Any) -> Event:
    event = attempt_event_pb2.AttemptEvent.FromString(record.value)
    if event.HasField("attempt"):
        object_id, status = event.attempt.id, ATTEMPT_STATUS.Name(event.attempt.status)
    else:
        object_id = event.transaction.id
        status = TRANSACTION_STATUS.Name(event.transaction.status)
    return Event(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key.decode(),
        id=event.id,
        type=event.type,
        object_id=object_id,
        version=event.version,
        status=status,
    )


def intents(mesh: Mesh) -> list[Intent]:
    """Return every payment intent."""
    return [Intent(**row) for row in mesh.query("intent", INTENTS)]


def transactions(mesh: Mesh) -> list[Transaction]:
    """Return every transaction."""
    return [Transaction(**row) for row in mesh.query("txn", TRANSACTIONS)]


def attempts(mesh: Mesh) -> list[Attempt]:
    """Return every attempt."""
    return [Attempt(**row) for row in mesh.query("txn", ATTEMPTS)]


def outbox(mesh: Mesh) -> dict[str, int]:
    """Return the ids of all events that services wrote, and when, microseconds since 1970."""
    return {
        row["id"]: row["written_us"]
        for database in ("intent", "txn")
        for row in mesh.query(database, OUTBOX)
    }


def relayed(mesh: Mesh) -> int:
    """Return how many events services sent to Kafka themselves, as each says before it does."""
    lines = [
        line
        for service in ("intent_svc", "txn_svc")
        for line in (mesh.state.logs / f"{service}.log").read_text().splitlines()
    ]
    return sum(json.loads(line)["events"] for line in lines if RELAYING in line)


def ledger(mesh: Mesh) -> list[LedgerRow]:
    """Return the books of all networks."""
    return [
        LedgerRow(
            network=name,
            rrn=row["rrn"],
            held_minor=row["held"],
            captured_minor=row["captured"],
            approved=row["approved"],
            reversed=row["reversed"],
            clearing=row["clearing"],
        )
        for name, rows in mesh.ledgers().items()
        for row in rows
    ]


def breaks(mesh: Mesh) -> list[Break]:
    """Return every break, resolved ones too."""
    return [Break(**row) for row in mesh.query("recon", BREAKS)]


def cleared(mesh: Mesh) -> list[Cleared]:
    """Return what the newest daily report says of each network."""
    report = asyncio.run(daily_report(mesh.state, mesh.status(), ""))
    return [
        Cleared(
            row["network"],
            declared=_sum([row["declared"]]),
            matched=_sum([row["matched"]]),
            waiting=_sum([row["waiting"]]),
            rejected=_sum([row["rejected"]]),
            in_breaks=_sum([part["theirs"] for part in row["breaks"]]),
        )
        for row in report["rows"]
    ]


def _sum(parts: Sequence[dict[str, int]]) -> tuple[int, int]:
    return sum(part["lines"] for part in parts), sum(part["amountMinor"] for part in parts)


def evidence(
    mesh: Mesh,
    requests: list[Request],
    endpoints: list[Endpoint],
    deliveries: Sequence[Delivery],
    gaps: list[Gap],
) -> Evidence:
    """Return what a run left behind, once it is quiet."""
    written = outbox(mesh)
    trail = Trail(mesh.status())
    try:
        trail.read_until(written)
    finally:
        trail.close()
    return Evidence(
        requests=requests,
        intents=intents(mesh),
        transactions=transactions(mesh),
        attempts=attempts(mesh),
        outbox=written,
        relayed=relayed(mesh),
        ledger=ledger(mesh),
        changes=trail.changes,
        events=trail.events,
        endpoints=endpoints,
        deliveries=list(deliveries),
        breaks=breaks(mesh),
        cleared=cleared(mesh),
        archive=archived(mesh),
        rows=stories(mesh, [intent.id for intent in intents(mesh)]),
        gaps=gaps,
        captures=asyncio.run(captures(mesh)) if gaps else [],
    )
