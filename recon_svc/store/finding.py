"""Breaks that no line shows: missing, late, overdue; and the end of those whose cause is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import Database
from recon_svc.domain.breaks import BreakKind, NewBreak
from recon_svc.domain.business_day import DAYS_LOOKED_BACK, BusinessDay
from recon_svc.store.breaks import insert_breaks
from recon_svc.store.clearing import IMPORT_LOCK, LOCK

BREAKS_AT_ONCE = 5000
LOOK_BACK = timedelta(days=DAYS_LOOKED_BACK)

TO_CHECK = """
select id, network, business_date, cut_off from clearing_files
where check_after <= %(now)s and status = 'taken' order by check_after, id limit 1
"""

# `offset 0` keeps a look-up one: as a join it is planned while a table is empty by walking through
# that table for every row.

# What was approved before the cut-off and that no file has. An attempt whose deadline is past the
# cut-off may have been approved after it.
MISSING = """
select a.merchant_id, a.id, a.payment_intent_id,
    coalesce(a.amount_approved_minor, a.amount_minor) as amount_minor, a.currency
from attempts a
where a.network = %(network)s and a.status = 'succeeded' and a.reversal is null
    and not a.is_hold
    and a.deadline > %(since)s and a.deadline <= %(cut_off)s
    and not exists (
        select from clearing_lines l
        where l.merchant_id = a.merchant_id and l.attempt_id = a.id and l.attempt_id is not null
            and l.verdict <> 'duplicate_line' offset 0)
    and not exists (
        select from breaks b
        where b.kind = 'missing_at_network' and b.subject = 'attempt:' || a.id offset 0)
limit %(limit)s
"""

CHECKED = "update clearing_files set check_after = null where id = %(id)s"

OVERDUE = """
select a.merchant_id, a.id, a.payment_intent_id,
    coalesce(a.amount_approved_minor, a.amount_minor) as amount_minor, a.currency, a.network,
    a.created
from attempts a
where {is_overdue} and not exists (
    select from breaks b
    where b.kind = '{kind}' and b.subject = 'attempt:' || a.id offset 0)
limit %(limit)s
"""

ADVICES = {
    BreakKind.REVERSAL_OVERDUE: "a.reversal = 'overdue'",
    BreakKind.CAPTURE_OVERDUE: "a.overdue_since is not null",
}

# A day on which nothing was approved needs no file.
LATE = """
select item.network, item.business_date
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    network text, business_date date, since timestamptz, cut_off timestamptz)
where exists (
        select from attempts a
        where a.network = item.network and a.status = 'succeeded' and not a.is_hold
            and a.deadline > item.since and a.deadline <= item.cut_off offset 0)
    and not exists (
        select from clearing_files f
        where f.business_date = item.business_date and f.network = item.network
            and f.status <> 'refused' offset 0)
    and not exists (
        select from breaks b
        where b.kind = 'late_file'
            and b.subject = 'file:' || item.network || ':' || item.business_date offset 0)
"""

# Of the open breaks, which are few: an index by kind would lead to all that ever were.
END = """
update breaks b set resolved_by = 'paymesh', resolved_at = %(now)s, resolution_reason = {reason}
{source}
"""

ENDINGS = (
    END.format(
        reason="'The network presented it in a later file.'",
        source="""
from clearing_lines l
where b.kind || '' = 'missing_at_network' and b.resolved_at is null
    and l.merchant_id = b.merchant_id and l.attempt_id = b.attempt_id and l.attempt_id is not null
    and l.verdict <> 'duplicate_line'""",
    ),
    END.format(
        reason="'The attempt became known later.'",
        source="""
from clearing_lines l
where b.kind || '' = 'missing_at_us' and b.resolved_at is null and l.file = b.file
    and l.number = b.line and l.verdict <> 'missing_at_us'""",
    ),
    END.format(
        reason="'The network acknowledged the reversal.'",
        source="""
from attempts a
where b.kind || '' = 'reversal_overdue' and b.resolved_at is null and a.merchant_id = b.merchant_id
    and a.id = b.attempt_id and a.reversal = 'acknowledged'""",
    ),
    END.format(
        reason="""case a.status when 'failed' then 'The network refused the capture.'
    else 'The network acknowledged the capture.' end""",
        source="""
from attempts a
where b.kind || '' = 'capture_overdue' and b.resolved_at is null and a.merchant_id = b.merchant_id
    and a.id = b.attempt_id and a.status in ('succeeded', 'failed')""",
    ),
    END.format(
        reason="'The file came: ' || f.name",
        source="""
from clearing_files f
where b.kind || '' = 'late_file' and b.resolved_at is null and f.network = b.network
    and f.business_date = b.business_date and f.status <> 'refused'""",
    ),
)


class FindingStore:
    """Finds breaks that no line shows, and ends those whose cause is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_missing(self, now: datetime) -> bool:
        """Write a set of what a file should have and no file has; return whether to go on."""
        async with self._database.transaction() as connection:
            await _lock(connection)
            file = (await connection.exec_driver_sql(TO_CHECK, {"now": now})).mappings().first()
            if file is None:
                return False
            wanted = {**file, "since": file["cut_off"] - LOOK_BACK, "limit": BREAKS_AT_ONCE}
            rows = (await connection.exec_driver_sql(MISSING, wanted)).mappings().all()
            found = [
                _ours(BreakKind.MISSING_AT_NETWORK, row, file["network"], file["business_date"])
                for row in rows
            ]
            await insert_breaks(connection, found, now)
            if len(rows) < BREAKS_AT_ONCE:
                await connection.exec_driver_sql(CHECKED, {"id": file["id"]})
            return True

    async def find_overdue(self, now: datetime) -> None:
        """Write a break for each advice that is not acknowledged in the network's time."""
        async with self._database.transaction() as connection:
            await _lock(connection)
            for kind, is_overdue in ADVICES.items():
                statement = OVERDUE.format(kind=kind, is_overdue=is_overdue)
                limit = {"limit": BREAKS_AT_ONCE}
                rows = (await connection.exec_driver_sql(statement, limit)).mappings().all()
                found = [_ours(kind, row, row["network"], row["created"].date()) for row in rows]
                await insert_breaks(connection, found, now)

    async def find_late(self, days: Mapping[str, Sequence[BusinessDay]], now: datetime) -> None:
        """Write a break for each of these days, by network, whose file is not there."""
        items = [
            {
                "network": network,
                "business_date": day.business_date,
                "since": day.since,
                "cut_off": day.cut_off,
            }
            for network, due in days.items()
            for day in due
        ]
        async with self._database.transaction() as connection:
            await _lock(connection)
            encoded = {"items": orjson.dumps(items).decode()}
            rows = (await connection.exec_driver_sql(LATE, encoded)).mappings().all()
            found = [
                NewBreak(
                    BreakKind.LATE_FILE,
                    f"file:{row['network']}:{row['business_date']}",
                    row["network"],
                    row["business_date"],
                )
                for row in rows
            ]
            await insert_breaks(connection, found, now)

    async def end(self, now: datetime) -> None:
        """Close the breaks whose cause is gone, saying so."""
        for statement in ENDINGS:
            await self._database.fetch(statement, now=now)


async def _lock(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql(LOCK, {"lock": IMPORT_LOCK})


def _ours(kind: BreakKind, row: Any, network: str, business_date: Any) -> NewBreak:
    return NewBreak(
        kind=kind,
        subject=f"attempt:{row['id']}",
        network=network,
        business_date=business_date,
        merchant_id=row["merchant_id"],
        payment_intent_id=row["payment_intent_id"],
        attempt_id=row["id"],
        our_amount_minor=row["amount_minor"],
        our_currency=row["currency"],
    )
