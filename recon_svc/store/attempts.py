"""Attempts in PostgreSQL: as events tell of them, and as those who resolve them claim them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from chassis.database import Database
from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId
from recon_svc.domain.resolution import Attempt, AttemptStatus, resolve_after

TAKE = """
insert into attempts as a (merchant_id, id, mode, payment_intent_id, transaction_id, network,
    kind, is_hold, status, reversal, amount_minor, currency, stan, rrn, transmitted_at,
    response_code, approval_code, network_trace_id, deadline, created, version, resolve_after,
    overdue_since, accepts_part, amount_approved_minor)
select merchant_id, id, mode, payment_intent_id, transaction_id, network,
    kind, is_hold, status, reversal, amount_minor, currency, stan, rrn, transmitted_at,
    response_code, approval_code, network_trace_id, to_timestamp(deadline), to_timestamp(created),
    version, to_timestamp(resolve_after), to_timestamp(overdue_since), accepts_part,
    amount_approved_minor
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, id text, mode text, payment_intent_id text, transaction_id text,
    network text, kind text, is_hold boolean, status text, reversal text,
    amount_minor integer, currency text, stan text, rrn text, transmitted_at text,
    response_code text, approval_code text, network_trace_id text, deadline double precision,
    created double precision, version integer, resolve_after double precision,
    overdue_since bigint, accepts_part boolean, amount_approved_minor integer)
on conflict (merchant_id, id) do update set
    status = excluded.status, reversal = excluded.reversal,
    response_code = excluded.response_code, approval_code = excluded.approval_code,
    network_trace_id = excluded.network_trace_id, version = excluded.version,
    resolve_after = excluded.resolve_after, overdue_since = excluded.overdue_since,
    amount_approved_minor = excluded.amount_approved_minor, claim_id = null
where a.version < excluded.version
returning id
"""

CLAIM = """
with due as (
    select merchant_id, id from attempts
    where resolve_after <= %(now)s
    order by resolve_after
    limit %(limit)s
    for update skip locked
)
update attempts a set resolve_after = %(lease_until)s, claim_id = cast(%(claim_id)s as uuid)
from due where a.merchant_id = due.merchant_id and a.id = due.id
returning a.*
"""

LATER = """
update attempts a set
    resolve_after = to_timestamp(item.resolve_after), inquiries = item.inquiries, claim_id = null
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, id text, claim_id uuid, resolve_after double precision, inquiries integer)
where a.merchant_id = item.merchant_id and a.id = item.id and a.claim_id = item.claim_id
"""

UNRESOLVED = """
select count(*) as number, min(deadline) as oldest from attempts
where status in ('recorded', 'timeout') and deadline < %(now)s
"""

COUNT_SEEN = """
select count(*) as number from attempts
where created >= to_timestamp(%(created_from)s) and created < to_timestamp(%(created_until)s)
"""

OVERDUE = """
select (select count(*) from attempts where reversal = 'overdue') as reversals,
    (select count(*) from attempts where overdue_since is not null) as captures
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt that this process may resolve until its lease is over."""

    attempt: Attempt
    id: UUID


class AttemptStore:
    """The only owner of the attempts table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, attempts: Sequence[Attempt]) -> set[str]:
        """Write attempts as events tell of them; an older version than is there changes nothing.

        Return the ids of those that were written.
        """
        newest: dict[tuple[str, str], Attempt] = {}
        for attempt in attempts:
            key = (attempt.merchant_id, attempt.id)
            if key not in newest or newest[key].version < attempt.version:
                newest[key] = attempt
        rows = await self._database.run_batch(TAKE, [_item(newest[key]) for key in sorted(newest)])
        return {row["id"] for row in rows}

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Claim]:
        """Return attempts about which something is to be done now.

        They are this process's until the lease is over.
        """
        rows = await self._database.fetch(
            CLAIM, now=now, limit=limit, lease_until=now + lease, claim_id=str(uuid4())
        )
        return [Claim(_attempt(row), row["claim_id"]) for row in rows]

    async def later(self, claim: Claim, at: float, inquiries: int) -> None:
        """Put a claimed attempt off until then (Unix seconds), unless an event came meanwhile."""
        item = {
            "merchant_id": claim.attempt.merchant_id,
            "id": claim.attempt.id,
            "claim_id": str(claim.id),
            "resolve_after": at,
            "inquiries": inquiries,
        }
        await self._database.run_batch(LATER, [item])

    async def unresolved(self, now: datetime) -> tuple[int, float]:
        """Return how many attempts are past their deadline and open, and the oldest's age in s."""
        [row] = await self._database.fetch(UNRESOLVED, now=now)
        age_s = (now - row["oldest"]).total_seconds() if row["oldest"] is not None else 0.0
        return row["number"], age_s

    async def count(self, created_from: int, created_until: int) -> int:
        """Return how many attempts of a span of time events have told of, Unix seconds."""
        [row] = await self._database.fetch(
            COUNT_SEEN, created_from=created_from, created_until=created_until
        )
        number: int = row["number"]
        return number

    async def overdue(self) -> tuple[int, int]:
        """Return how many reversals and captures were not acknowledged in their network's time."""
        [row] = await self._database.fetch(OVERDUE)
        return row["reversals"], row["captures"]


def _item(attempt: Attempt) -> dict[str, object]:
    return {
        "merchant_id": attempt.merchant_id,
        "id": attempt.id,
        "mode": attempt.mode,
        "payment_intent_id": attempt.payment_intent_id,
        "transaction_id": attempt.transaction_id,
        "network": attempt.network,
        "kind": attempt.kind,
        "is_hold": attempt.is_hold,
        "status": attempt.status,
        "reversal": attempt.reversal,
        "amount_minor": attempt.amount_minor,
        "currency": attempt.currency,
        "stan": attempt.stan,
        "rrn": attempt.rrn,
        "transmitted_at": attempt.transmitted_at,
        "response_code": attempt.response_code,
        "approval_code": attempt.approval_code,
        "network_trace_id": attempt.network_trace_id,
        "deadline": attempt.deadline,
        "created": attempt.created,
        "version": attempt.version,
        "resolve_after": resolve_after(attempt),
        "overdue_since": attempt.overdue_since,
        "accepts_part": attempt.accepts_part,
        "amount_approved_minor": attempt.amount_approved_minor,
    }


def _attempt(row: Any) -> Attempt:
    return Attempt(
        id=AttemptId(row["id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        mode=row["mode"],
        payment_intent_id=PaymentIntentId(row["payment_intent_id"]),
        transaction_id=TransactionId(row["transaction_id"]),
        network=row["network"],
        status=AttemptStatus(row["status"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        stan=row["stan"],
        rrn=row["rrn"],
        transmitted_at=row["transmitted_at"],
        deadline=int(row["deadline"].astimezone(UTC).timestamp()),
        created=int(row["created"].astimezone(UTC).timestamp()),
        version=row["version"],
        reversal=row["reversal"],
        response_code=row["response_code"],
        approval_code=row["approval_code"],
        network_trace_id=row["network_trace_id"],
        inquiries=row["inquiries"],
        kind=row["kind"],
        is_hold=row["is_hold"],
        overdue_since=_second(row["overdue_since"]),
        accepts_part=row["accepts_part"],
        amount_approved_minor=row["amount_approved_minor"],
    )


def _second(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment is not None else None
