"""Rows that a service's database does not have any more, read from the archive by audit_svc.

The archive is asked only for what a row of `purged_payments` tells of, so that nobody makes us look
for what never was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import grpc
import orjson
from paymesh.audit.v1 import audit_service_pb2 as audit_pb2
from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from chassis import spans
from chassis.errors import Kind, Overloaded, ServiceUnavailable, from_rpc_error

TIMEOUT_S = 10.0
ASKED_MAX = 8  # at once by a process
CLOCKS_APART = timedelta(minutes=10)  # of a database and of Kafka
# How long after a change Kafka may have got it: mostly at once, after an outage later.
WITHIN = (timedelta(minutes=10), timedelta(days=1))

PURGED_DDL = """
create table purged_payments (
    merchant_id text collate "C" not null,
    payment_intent_id text collate "C" not null,
    mode text not null,
    row_count integer not null check (row_count > 0),
    purged timestamptz not null,
    primary key (merchant_id, payment_intent_id)
)
"""
"""`row_count`: how many rows of the payment were purged from this database."""

FIND_PURGED = """
select mode, row_count, purged from purged_payments
where merchant_id = %(merchant_id)s and payment_intent_id = %(payment_intent_id)s
"""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a database still knows of a payment that was purged from it."""

    mode: str
    row_count: int
    purged: datetime


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """A row as Debezium told of it: JSON values by column.

    is_archived: whether its last change is in the archive, else it is in Kafka alone yet.
    """

    table: str
    values: dict[str, Any]
    is_purged: bool
    is_archived: bool


class ArchiveClient:
    """Asks audit_svc for rows of the calling service's database."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float = TIMEOUT_S) -> None:
        self._stub = audit_grpc.AuditServiceStub(channel)
        self._timeout_s = timeout_s
        self._asked = 0

    async def changed(
        self, payment_intent_ids: Iterable[str], since: datetime, until: datetime
    ) -> list[ArchivedRow]:
        """Return what rows of payments were after their last change in a stretch of time.

        Raises ServiceUnavailable, Overloaded.
        """
        if self._asked >= ASKED_MAX:
            raise Overloaded
        self._asked += 1
        request = audit_pb2.ListPaymentRowsRequest(
            payment_intent_ids=payment_intent_ids,
            since_ms=_milliseconds(since),
            until_ms=_milliseconds(until),
        )
        metadata = (("traceparent", spans.traceparent() or spans.NOT_SAMPLED),)
        try:
            found = await self._stub.ListPaymentRows(
                request, timeout=self._timeout_s, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            told = from_rpc_error(error)
            raise told if told.kind is Kind.UNAVAILABLE else ServiceUnavailable from error
        finally:
            self._asked -= 1
        return [
            ArchivedRow(row.table, orjson.loads(row.values), row.is_purged, row.is_archived)
            for row in found.rows
            if row.HasField("values")
        ]

    async def purged(self, payment_intent_id: str, told: Purged) -> list[ArchivedRow]:
        """Return all rows of a payment that was purged, as they last were.

        Raises ServiceUnavailable, also where not all of them have come to Kafka yet; Overloaded.
        """
        for within in WITHIN:
            rows = await self.changed(
                [payment_intent_id], told.purged - CLOCKS_APART, told.purged + within
            )
            found = [row for row in rows if row.is_purged]
            if len(found) == told.row_count:
                return found
        raise ServiceUnavailable


def of_table(rows: Sequence[ArchivedRow], table: str) -> list[dict[str, Any]]:
    """Return the values of the rows of one table."""
    return [row.values for row in rows if row.table == table]


def moment(text: str | None) -> datetime | None:
    """Return a time as Debezium writes it."""
    return None if text is None else datetime.fromisoformat(text)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
