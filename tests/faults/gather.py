"""Collects the evidence of a run: from the databases, Kafka and the networks' books."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition
from paymesh.events.v1 import attempt_event_pb2, payment_intent_event_pb2
from paymesh.intent.v1 import payment_intent_pb2
from paymesh.txn.v1 import attempt_pb2, transaction_pb2

from tests.faults.evidence import (
    Attempt,
    Change,
    Delivery,
    Endpoint,
    Event,
    Evidence,
    Intent,
    LedgerRow,
    Request,
    Transaction,
)
from tests.faults.mesh import Mesh

TOPICS = ("events.payment_intent", "events.attempt")
TABLES = {
    "cdc.intent.payment_intents": "intent.payment_intents",
    "cdc.txn.transactions": "txn.transactions",
    "cdc.txn.attempts": "txn.attempts",
}
DRAINING_S = 90.0
STILL_S = 4.0

INTENTS = """
select id, merchant_id, description, status, amount_minor, amount_captured_minor, version
from payment_intents order by id
"""
TRANSACTIONS = """
select id, merchant_id, payment_intent_id as intent_id, idempotency_key as key, status
from transactions order by id
"""
ATTEMPTS = """
select id, transaction_id, payment_intent_id as intent_id, network, rrn, status, version, reversal
from attempts order by id
"""

INTENT_STATUS = payment_intent_pb2.PaymentIntentStatusEnum.PaymentIntentStatus
ATTEMPT_STATUS = attempt_pb2.AttemptStatusEnum.AttemptStatus
TRANSACTION_STATUS = transaction_pb2.TransactionStatusEnum.TransactionStatus


class Trail:
    """Everything in Kafka, read from its beginning until it holds what was written."""

    def __init__(self, bootstrap: str) -> None:
        self.events: list[Event] = []
        self.changes: list[Change] = []
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
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


def outbox(mesh: Mesh) -> list[str]:
    """Return the ids of all events that services wrote."""
    return [
        row["id"]
        for database in ("intent", "txn")
        for row in mesh.query(database, "select id from outbox")
    ]


def ledger(mesh: Mesh) -> list[LedgerRow]:
    """Return the books of all networks."""
    return [
        LedgerRow(name, row["rrn"], row["amount"], row["approved"], row["reversed"])
        for name, rows in mesh.ledgers().items()
        for row in rows
    ]


def evidence(
    mesh: Mesh,
    requests: list[Request],
    endpoints: list[Endpoint],
    deliveries: Sequence[Delivery],
) -> Evidence:
    """Return what a run left behind, once it is quiet."""
    written = outbox(mesh)
    trail = Trail(mesh.status()["kafka"])
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
        ledger=ledger(mesh),
        changes=trail.changes,
        events=trail.events,
        endpoints=endpoints,
        deliveries=list(deliveries),
    )
