"""`python -m txn_svc.retention`: deletes transactions of payments that intent_svc has purged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import grpc
import sqlalchemy as sa
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2 as lifecycle_pb2
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.archived import ArchiveClient, ArchivedRow
from chassis.config import PaymentRetentionSettings
from chassis.database import Database
from chassis.errors import from_rpc_error
from chassis.identity import channel
from chassis.retention import (
    VERIFY_TIMEOUT_S,
    OldPayment,
    as_json,
    purge_old,
    require_proof,
    run_purge,
)

ASK_TIMEOUT_S = 10.0
ASKED_MAX = 200

OLDEST = "select min(created) as created from transactions"
CREATED_BETWEEN = """
select merchant_id, payment_intent_id, min(created) as created from transactions
where created >= %(since)s and created < %(until)s
group by merchant_id, payment_intent_id
"""
TRANSACTIONS = """
select t.merchant_id, t.id, t.payment_intent_id, t.mode,
    t.status in ('succeeded', 'failed') and t.created < :before
    and not exists (
        select from card_envelopes e
        where e.merchant_id = t.merchant_id and e.transaction_id = t.id)
    and exists (
        select from jsonb_array_elements(cast(:rows as jsonb)) as archived(row)
        where archived.row ->> 'id' = t.id
            and t = jsonb_populate_record(null::transactions, archived.row)) as is_over
from transactions t where t.payment_intent_id = any(:ids)
for update
"""
ATTEMPTS = """
select a.merchant_id, a.id, a.payment_intent_id,
    a.status in ('succeeded', 'failed', 'reversed') and a.advice_due is null
    and coalesce(a.reversal, 'acknowledged') = 'acknowledged'
    and exists (
        select from jsonb_array_elements(cast(:rows as jsonb)) as archived(row)
        where archived.row ->> 'id' = a.id
            and a = jsonb_populate_record(null::attempts, archived.row)) as is_over
from attempts a where a.transaction_id = any(:ids)
for update
"""
TELL = """
insert into purged_payments (merchant_id, payment_intent_id, mode, row_count, purged)
values (:merchant_id, :payment_intent_id, :mode, :row_count, now())
"""
MARK = "update {table} set purged = now() where merchant_id = :merchant_id and id = :id"
DELETE = "delete from {table} where merchant_id = :merchant_id and id = :id"
Row = dict[str, Any]


class OldTransactions:
    """The payments with their transactions and attempts."""

    def __init__(self, database: Database, intents: grpc.aio.Channel) -> None:
        self._database = database
        self._intents = lifecycle_grpc.PaymentIntentLifecycleServiceStub(intents)

    async def oldest(self) -> datetime | None:
        """Return when the oldest transaction was created."""
        [row] = await self._database.fetch(OLDEST)
        oldest: datetime | None = row["created"]
        return oldest

    async def created_between(self, since: datetime, until: datetime) -> list[OldPayment]:
        """Return those that intent_svc has purged."""
        rows = await self._database.fetch(CREATED_BETWEEN, since=since, until=until)
        found = [OldPayment(**row) for row in rows]
        purged: set[str] = set()
        for start in range(0, len(found), ASKED_MAX):
            purged |= await self._purged(found[start : start + ASKED_MAX])
        return [one for one in found if one.payment_intent_id in purged]

    async def purge(self, rows: Sequence[ArchivedRow], before: datetime) -> set[str]:
        """Delete those whose transactions and attempts are all as the archive has them."""
        async with self._database.transaction() as connection:
            transactions = await _locked(
                connection,
                TRANSACTIONS,
                rows=as_json(rows, "transactions", raw=["request_hash"]),
                ids=list({row.values["payment_intent_id"] for row in rows}),
                before=before,
            )
            attempts = await _locked(
                connection,
                ATTEMPTS,
                rows=as_json(rows, "attempts", json=["messages"]),
                ids=[row["id"] for row in transactions],
            )
            stays = {
                row["payment_intent_id"] for row in (*transactions, *attempts) if not row["is_over"]
            }
            gone = {
                table: [row for row in found if row["payment_intent_id"] not in stays]
                for table, found in (("attempts", attempts), ("transactions", transactions))
            }
            for table, over in gone.items():
                if over:
                    await connection.execute(sa.text(MARK.format(table=table)), over)
                    await connection.execute(sa.text(DELETE.format(table=table)), over)
            if told := _told(gone["transactions"], gone["attempts"]):
                await connection.execute(sa.text(TELL), told)
        return {row["payment_intent_id"] for row in told}

    async def _purged(self, payments: Sequence[OldPayment]) -> set[str]:
        request = lifecycle_pb2.BatchFindPurgedPaymentsRequest(
            items=[
                lifecycle_pb2.FindPurgedPaymentItem(
                    merchant_id=one.merchant_id, payment_intent_id=one.payment_intent_id
                )
                for one in payments
            ]
        )
        try:
            response = await self._intents.BatchFindPurgedPayments(request, timeout=ASK_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return set(response.payment_intent_ids)


async def _locked(connection: AsyncConnection, statement: str, **parameters: object) -> list[Row]:
    found = await connection.execute(sa.text(statement), parameters)
    return [dict(row) for row in found.mappings()]


def _told(transactions: Sequence[Row], attempts: Sequence[Row]) -> list[Row]:
    """Return what is left of each payment whose rows these are."""
    told: dict[str, Row] = {}
    counts: dict[str, int] = defaultdict(int)
    for row in (*transactions, *attempts):
        counts[row["payment_intent_id"]] += 1
    for row in transactions:
        told[row["payment_intent_id"]] = row | {"row_count": counts[row["payment_intent_id"]]}
    return list(told.values())


async def purge(
    settings: PaymentRetentionSettings, database: Database, now: datetime
) -> dict[str, int]:
    """Purge, and return how much."""
    async with (
        channel(settings, settings.audit_address) as audit,
        channel(settings, settings.intent_address) as intents,
    ):
        await require_proof(audit)
        archive = ArchiveClient(audit, VERIFY_TIMEOUT_S)
        before = now - timedelta(days=settings.older_than_days)
        return asdict(await purge_old(OldTransactions(database, intents), archive, before))


if __name__ == "__main__":
    run_purge(PaymentRetentionSettings, purge)
