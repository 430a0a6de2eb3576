"""Breaks in PostgreSQL: found in sets, read and decided on one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import Database, Row
from chassis.errors import ResourceMissing
from chassis.ids import new_break_id
from recon_svc.domain.breaks import (
    Break,
    BreakAlreadyResolved,
    BreakFilter,
    BreakKind,
    BreakStatus,
    NewBreak,
    OurSide,
    Resolution,
    TheirSide,
)

INSERT = """
insert into breaks (id, kind, subject, network, business_date, merchant_id, payment_intent_id,
    attempt_id, file, line, our_amount_minor, our_currency, their_amount_minor, their_currency,
    created)
select id, kind, subject, network, business_date, merchant_id, payment_intent_id, attempt_id, file,
    line, our_amount_minor, our_currency, their_amount_minor, their_currency, %(now)s
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    id text, kind text, subject text, network text, business_date date, merchant_id text,
    payment_intent_id text, attempt_id text, file bigint, line integer, our_amount_minor bigint,
    our_currency text, their_amount_minor bigint, their_currency text)
on conflict (kind, subject) do nothing
"""

# The attempt as it is now, if it was not purged; the line as the file has it.
SIDES = """
select b.id, b.kind, b.network, b.business_date, b.created, b.owner, b.resolved_by,
    b.resolution_reason, b.resolved_at, b.merchant_id, b.payment_intent_id, b.attempt_id,
    b.our_amount_minor, b.our_currency, a.status, a.reversal, a.response_code,
    a.approval_code as our_approval_code, a.network_trace_id as our_network_trace_id,
    a.stan as our_stan, a.rrn as our_rrn, a.created as our_created,
    f.name as file_name, l.number, l.amount_minor, l.currency, l.network_trace_id, l.arn, l.rrn,
    l.stan, l.approval_code, l.local_date
from {breaks} b
left join attempts a on a.merchant_id = b.merchant_id and a.id = b.attempt_id
left join clearing_files f on f.id = b.file
left join clearing_lines l on l.file = b.file and l.number = b.line
order by b.created, b.id
"""

PAGE = """(
    select b.* from breaks b where {conditions} order by b.created, b.id limit %(limit)s)"""

# What of a filter is asked for, so that a plan is made for that and nothing else.
CONDITIONS = {
    "kind": "b.kind = %(kind)s",
    "network": "b.network = %(network)s",
    "owner": "b.owner = %(owner)s",
    "business_date_from": "b.business_date >= %(business_date_from)s",
    "business_date_to": "b.business_date <= %(business_date_to)s",
    "starting_after": """(b.created, b.id) > (
        select c.created, c.id from breaks c where c.id = %(starting_after)s)""",
}
STATUS_CONDITIONS = {
    None: "true",
    BreakStatus.OPEN: "b.resolved_at is null",
    BreakStatus.RESOLVED: "b.resolved_at is not null",
}

ONE = SIDES.format(breaks="(select b.* from breaks b where b.id = %(id)s)")

EXISTS = "select resolved_at is not null as is_resolved from breaks where id = %(id)s"

# By `resolved_by`, because `resolved_at is null` may be looked for among all breaks that are open.
ASSIGN = """
update breaks set owner = %(owner)s where id = %(id)s and resolved_by is null returning id
"""

RESOLVE = """
update breaks
set resolved_by = %(resolved_by)s, resolution_reason = %(reason)s, resolved_at = %(now)s
where id = %(id)s and resolved_by is null returning id
"""

OPEN = """
select kind, count(*) as number, min(created) as oldest from breaks
where resolved_at is null group by kind
"""


class BreakStore:
    """Reads breaks and writes down what people decide."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, asked: BreakFilter) -> list[Break]:
        """Return breaks, oldest first, and one more than the limit if there are so many.

        Raises ResourceMissing for starting_after.
        """
        if asked.starting_after:
            await self._standing(asked.starting_after)
        sql, wanted = listing(asked)
        return [_break(row) for row in await self._database.fetch(sql, **wanted)]

    async def assign(self, break_id: str, owner: str) -> Break:
        """Give a break to a person. Raises ResourceMissing, BreakAlreadyResolved."""
        return await self._decide(ASSIGN, break_id, owner=owner)

    async def resolve(self, break_id: str, resolved_by: str, reason: str, now: datetime) -> Break:
        """Close a break. Raises ResourceMissing, BreakAlreadyResolved."""
        return await self._decide(
            RESOLVE, break_id, resolved_by=resolved_by, reason=reason, now=now
        )

    async def open(self) -> dict[BreakKind, tuple[int, datetime]]:
        """Return how many breaks of each kind are open, and when the oldest was found."""
        rows = await self._database.fetch(OPEN)
        return {BreakKind(row["kind"]): (row["number"], row["oldest"]) for row in rows}

    async def _decide(self, statement: str, break_id: str, **decision: object) -> Break:
        if not await self._database.fetch(statement, id=break_id, **decision):
            await self._standing(break_id)
            raise BreakAlreadyResolved
        [row] = await self._database.fetch(ONE, id=break_id)
        return _break(row)

    async def _standing(self, break_id: str) -> None:
        if not await self._database.fetch(EXISTS, id=break_id):
            raise ResourceMissing(f"No such break: {break_id}.", param="break_id")


def listing(asked: BreakFilter) -> tuple[str, dict[str, object]]:
    """Return the statement that lists what is asked for, and its parameters."""
    wanted = {name: value for name in CONDITIONS if (value := getattr(asked, name))}
    conditions = [STATUS_CONDITIONS[asked.status], *(CONDITIONS[name] for name in wanted)]
    breaks = PAGE.format(conditions=" and ".join(conditions))
    return SIDES.format(breaks=breaks), {**wanted, "limit": asked.limit + 1}


async def insert_breaks(
    connection: AsyncConnection, found: Sequence[NewBreak], now: datetime
) -> None:
    """Write breaks, each kind and subject once."""
    if not found:
        return
    items = [{"id": new_break_id(one.merchant_id), **_fields(one)} for one in found]
    await connection.exec_driver_sql(INSERT, {"items": orjson.dumps(items).decode(), "now": now})


def _fields(found: NewBreak) -> dict[str, object]:
    return {name: getattr(found, name) for name in NewBreak.__slots__}


def _break(row: Row) -> Break:
    return Break(
        id=row["id"],
        kind=BreakKind(row["kind"]),
        network=row["network"],
        business_date=row["business_date"],
        created=row["created"],
        owner=row["owner"],
        ours=_ours(row) if row["our_created"] is not None else None,
        theirs=_theirs(row) if row["number"] is not None else None,
        resolution=_resolution(row),
    )


def _ours(row: Any) -> OurSide:
    return OurSide(
        merchant_id=row["merchant_id"],
        payment_intent_id=row["payment_intent_id"],
        attempt_id=row["attempt_id"],
        amount_minor=row["our_amount_minor"],
        currency=row["our_currency"],
        status=row["status"],
        reversal=row["reversal"],
        response_code=row["response_code"],
        approval_code=row["our_approval_code"],
        network_trace_id=row["our_network_trace_id"],
        stan=row["our_stan"],
        rrn=row["our_rrn"],
        created=row["our_created"],
    )


def _theirs(row: Any) -> TheirSide:
    return TheirSide(
        file=row["file_name"],
        line=row["number"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        network_trace_id=row["network_trace_id"],
        arn=row["arn"],
        rrn=row["rrn"],
        stan=row["stan"],
        approval_code=row["approval_code"],
        local_date=row["local_date"],
    )


def _resolution(row: Any) -> Resolution | None:
    if row["resolved_at"] is None:
        return None
    return Resolution(row["resolved_by"], row["resolution_reason"], row["resolved_at"])
