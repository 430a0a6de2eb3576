"""`python -m intent_svc.retention`: deletes payments that are over for long, and old keys.

A payment goes here first, and then with its transactions: so nothing can charge it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import sqlalchemy as sa

from chassis.archived import ArchiveClient, ArchivedRow
from chassis.config import PaymentRetentionSettings
from chassis.database import Database
from chassis.identity import channel
from chassis.retention import (
    FORGET_CONSUMED,
    FORGET_KEYS,
    KEYS_KEPT,
    MAY_COME_AGAIN,
    VERIFY_TIMEOUT_S,
    OldPayment,
    as_json,
    forget,
    purge_old,
    require_proof,
    run_purge,
)

OLDEST = "select min(created) as created from payment_intents"
CREATED_BETWEEN = """
select merchant_id, id as payment_intent_id, created from payment_intents
where created >= %(since)s and created < %(until)s
    and status in ('succeeded', 'canceled') and due is null
"""
PURGE = """
with same as (
    select i.merchant_id, i.id, i.mode
    from jsonb_array_elements(cast(:rows as jsonb)) as archived(row)
    join payment_intents i
        on i.merchant_id = archived.row ->> 'merchant_id' and i.id = archived.row ->> 'id'
    where i = jsonb_populate_record(null::payment_intents, archived.row)
        and i.status in ('succeeded', 'canceled') and i.due is null and i.created < :before
    for update of i
), told as (
    insert into purged_payments (merchant_id, payment_intent_id, mode, row_count, purged)
    select merchant_id, id, mode, 1, now() from same
)
update payment_intents i set purged = now()
from same where i.merchant_id = same.merchant_id and i.id = same.id
returning i.merchant_id, i.id
"""
DELETE = """
delete from payment_intents where merchant_id = :merchant_id and id = :id and purged is not null
"""


class OldIntents:
    """The payment intents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(self) -> datetime | None:
        """Return when the oldest was created."""
        [row] = await self._database.fetch(OLDEST)
        oldest: datetime | None = row["created"]
        return oldest

    async def created_between(self, since: datetime, until: datetime) -> list[OldPayment]:
        """Return those that are over."""
        rows = await self._database.fetch(CREATED_BETWEEN, since=since, until=until)
        return [OldPayment(**row) for row in rows]

    async def purge(self, rows: Sequence[ArchivedRow], before: datetime) -> set[str]:
        """Delete those that are as the archive has them."""
        archived = as_json(rows, "payment_intents", json=["metadata"])
        async with self._database.transaction() as connection:
            found = await connection.execute(sa.text(PURGE), {"rows": archived, "before": before})
            marked = [dict(row) for row in found.mappings()]
            if marked:
                await connection.execute(sa.text(DELETE), marked)
        return {row["id"] for row in marked}


async def purge(
    settings: PaymentRetentionSettings, database: Database, now: datetime
) -> dict[str, int]:
    """Purge, and return how much. What no archive needs to have goes first."""
    keys = await forget(database, FORGET_KEYS, now - KEYS_KEPT)
    consumed = await forget(database, FORGET_CONSUMED, now - MAY_COME_AGAIN)
    async with channel(settings, settings.audit_address) as audit:
        await require_proof(audit)
        archive = ArchiveClient(audit, VERIFY_TIMEOUT_S)
        before = now - timedelta(days=settings.older_than_days)
        report = await purge_old(OldIntents(database), archive, before)
    return {**asdict(report), "keys": keys, "consumed_events": consumed}


if __name__ == "__main__":
    run_purge(PaymentRetentionSettings, purge)
