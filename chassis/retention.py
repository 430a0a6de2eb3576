"""The purge of what is over for long: of payments, what the archive has exactly as it is here.

Each batch is one transaction, so a purge may be killed at any moment and run again. Of a payment it
marks a row (`purged`) before it deletes it, and change capture tells of both: so whoever reads the
trail sees why the row is gone. What is left of a payment is a row of `purged_payments`.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import grpc
import orjson
from paymesh.audit.v1 import audit_service_pb2 as audit_pb2
from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from chassis import telemetry
from chassis.access import connect_ddl, grants_ddl
from chassis.archived import CLOCKS_APART, PURGED_DDL, ArchiveClient, ArchivedRow
from chassis.clock import SystemClock
from chassis.config import RetentionSettings, read_settings
from chassis.database import Database, connect
from chassis.errors import DomainError, Kind, from_rpc_error
from chassis.outbox import DAYS_KEPT

Settings = TypeVar("Settings", bound=RetentionSettings)

LOG = logging.getLogger(__name__)
KAFKA_KEEPS = timedelta(days=30)  # events; it deletes whole segments, when all of one is that old
SEGMENT = timedelta(days=7)
# Up to when an event may come from Kafka once more. Capture that begins anew brings again what is
# in the outbox. The rest is a margin.
MAY_COME_AGAIN = KAFKA_KEEPS + SEGMENT + timedelta(days=DAYS_KEPT) + timedelta(days=5)
KEYS_KEPT = timedelta(days=30)
FORGET_AT_ONCE = 1_000

FORGET_CONSUMED = """
delete from consumed_events c using (
    select consumer, event_id from consumed_events
    where created < %(before)s
    order by created
    limit %(limit)s
) old
where c.consumer = old.consumer and c.event_id = old.event_id
returning c.event_id
"""
FORGET_KEYS = """
delete from idempotency_keys k using (
    select merchant_id, mode, key from idempotency_keys
    where created < %(before)s and response is not null
    limit %(limit)s
) old
where k.merchant_id = old.merchant_id and k.mode = old.mode and k.key = old.key
returning k.key
"""
VERIFY_TIMEOUT_S = 6 * 3600.0
STEP = timedelta(hours=1)
BATCH_MAX = 100
# How long after a payment began its last change is looked for: most are over at once, captures and
# releases come within weeks. A payment with a later one stays.
WITHIN = (timedelta(minutes=10), timedelta(days=1), timedelta(days=40))


class ArchiveBroken(DomainError):
    """The archive is not proved, so nothing may be deleted because it is in there."""

    kind, reason = Kind.WRONG_STATE, "ARCHIVE_BROKEN"


@dataclass(frozen=True, slots=True)
class OldPayment:
    """A payment that may be over. created: of what the database has of it first."""

    merchant_id: str
    payment_intent_id: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """How many payments were purged, and how many looked over and stay."""

    purged: int
    kept: int


class OldPayments(Protocol):
    """The payments of a service's database."""

    async def oldest(self) -> datetime | None:
        """Return when the oldest was created."""

    async def created_between(self, since: datetime, until: datetime) -> list[OldPayment]:
        """Return those that were created from a time until before another and look over."""

    async def purge(self, rows: Sequence[ArchivedRow], before: datetime) -> set[str]:
        """Delete, in one transaction, the payments of these rows of the archive of which all rows
        are over, older than a time and equal to the archive's; return which.
        """


def retention_ddl(role: str, grants: dict[str, str]) -> list[str]:
    """Return the statements that let a role purge. grants: table → privileges."""
    return [
        PURGED_DDL,
        *connect_ddl(role),
        *grants_ddl(role, {**grants, "purged_payments": "insert"}),
    ]


def run_purge(
    settings_type: type[Settings],
    purge: Callable[[Settings, Database, datetime], Awaitable[Mapping[str, int]]],
) -> None:
    """Run a purge as a process, which says on its output how much of what is gone.

    purge: is given the settings, the database and the time.
    """
    settings = read_settings(settings_type)
    telemetry.configure_logs(settings.service_name, settings.log_level)

    async def run() -> Mapping[str, int]:
        database = await connect(settings)
        try:
            return await purge(settings, database, SystemClock().now())
        finally:
            await database.close()

    sys.stdout.write(orjson.dumps(asyncio.run(run())).decode() + "\n")


async def forget(database: Database, statement: str, before: datetime) -> int:
    """Delete what is older than a time, so much at once; return how many rows were told of.

    statement: deletes up to `%(limit)s` of what is from before `%(before)s`, and returns rows.
    Raises ServiceUnavailable: then what was deleted so far is deleted.
    """
    forgotten = 0
    while rows := await database.fetch(statement, before=before, limit=FORGET_AT_ONCE):
        forgotten += len(rows)
    return forgotten


async def require_proof(channel: grpc.aio.Channel) -> None:
    """Have the whole archive verified. Raises ArchiveBroken, ServiceUnavailable."""
    stub = audit_grpc.AuditServiceStub(channel)
    try:
        proof = await stub.VerifyArchive(audit_pb2.VerifyArchiveRequest(), timeout=VERIFY_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    for broken in proof.broken_links:
        LOG.error("the archive is broken", extra={"file": broken.file, "reason": broken.reason})
    if proof.broken_links:
        raise ArchiveBroken("The archive is broken: see `paymesh audit verify`.")


async def purge_old(payments: OldPayments, archive: ArchiveClient, before: datetime) -> Report:
    """Purge the payments that are older than a time, oldest first.

    Raises ServiceUnavailable: then what was purged so far is purged, and the rest is as it was.
    """
    purged, kept = 0, 0
    at = await payments.oldest()
    while at is not None and at < before:
        until = min(at + STEP, before)
        found = sorted(await payments.created_between(at, until), key=lambda one: one.created)
        for start in range(0, len(found), BATCH_MAX):
            batch = found[start : start + BATCH_MAX]
            done = await _purge_batch(payments, archive, batch, before)
            purged += len(done)
            kept += len(batch) - len(done)
        at = until
    return Report(purged, kept)


async def _purge_batch(
    payments: OldPayments, archive: ArchiveClient, batch: Sequence[OldPayment], before: datetime
) -> set[str]:
    open_ids = {one.payment_intent_id for one in batch}
    since, last = batch[0].created - CLOCKS_APART, batch[-1].created
    done: set[str] = set()
    for within in WITHIN:
        rows = await archive.changed(open_ids, since, last + within)
        proved = [row for row in rows if row.is_archived and not row.is_purged]
        gone = await payments.purge(proved, before)
        done |= gone
        open_ids -= gone
        if not open_ids:
            break
    for each in sorted(open_ids):
        LOG.info("a payment stays", extra={"payment_intent_id": each})
    return done


def as_json(
    rows: Sequence[ArchivedRow],
    table: str,
    *,
    json: Collection[str] = (),
    raw: Collection[str] = (),
) -> str:
    """Return the rows of a table as a JSON array that PostgreSQL reads rows from.

    json: columns of type jsonb, which Debezium writes as text. raw: of type bytea, in base64.
    """

    def value_of(name: str, value: Any) -> Any:
        if value is not None and name in json:
            return orjson.loads(value)
        if value is not None and name in raw:
            return "\\x" + base64.b64decode(value).hex()
        return value

    return orjson.dumps(
        [
            {name: value_of(name, value) for name, value in row.values.items()}
            for row in rows
            if row.table == table
        ]
    ).decode()
