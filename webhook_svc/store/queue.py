"""Deliveries as the consumer and the dispatcher work through them: always sets of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from chassis.batching import Coalescer
from chassis.database import Database
from chassis.ids import MerchantId, new_id
from chassis.sealing import Sealer
from webhook_svc.domain.delivery import DeliveryStatus, Try
from webhook_svc.domain.endpoint import Endpoint
from webhook_svc.messages import webhook_body

LEASE = timedelta(seconds=45)  # longer than a try can take

ENDPOINTS = """
select merchant_id, id, mode, url, enabled_events, created from webhook_endpoints
where merchant_id = any(cast(%(merchant_ids)s as text[])) and status = 'enabled'
"""

INSERT = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, mode text, type text, message text, created bigint,
        deliveries jsonb)
), fresh as (
    insert into events (merchant_id, id, mode, type, message, created)
    select merchant_id, id, mode, type, decode(message, 'base64'), to_timestamp(created)
    from item
    on conflict do nothing
    returning merchant_id, id
), delivery as (
    insert into deliveries (merchant_id, id, endpoint_id, event_id, status, tries, next_attempt,
        created)
    select item.merchant_id, wanted.id, wanted.endpoint_id, item.id, 'pending', 0, %(now)s, %(now)s
    from item join fresh using (merchant_id, id),
        jsonb_to_recordset(item.deliveries) as wanted(id text, endpoint_id text)
    returning id
)
select count(*) as count from delivery
"""

CLAIM = """
with endpoint as (
    select distinct endpoint_id from deliveries
    where status = 'pending' and next_attempt <= %(now)s and (tries > 0) = %(is_retry)s
        and endpoint_id <> all(cast(%(busy)s as text[]))
), due as (
    select picked.merchant_id, picked.id
    from endpoint cross join lateral (
        select merchant_id, id from deliveries d
        where d.endpoint_id = endpoint.endpoint_id and status = 'pending'
            and next_attempt <= %(now)s and (tries > 0) = %(is_retry)s
        order by next_attempt
        limit %(per_endpoint)s
        for update skip locked
    ) picked
    limit %(limit)s
), claimed as (
    update deliveries d set claim_id = cast(%(claim_id)s as uuid), next_attempt = %(lease_until)s
    from due where d.merchant_id = due.merchant_id and d.id = due.id
    returning d.*
)
select c.merchant_id, c.id, c.endpoint_id, c.event_id, c.tries, c.first_at, c.claim_id,
    w.url, e.message,
    array(
        select s.sealed from webhook_secrets s
        where s.merchant_id = c.merchant_id and s.endpoint_id = c.endpoint_id
            and (s.expires is null or s.expires > %(now)s)
        order by s.number desc
    ) as sealed
from claimed c
join webhook_endpoints w on w.merchant_id = c.merchant_id and w.id = c.endpoint_id
join events e on e.merchant_id = c.merchant_id and e.id = c.event_id
where w.status = 'enabled'
"""

SETTLE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, claim_id uuid, status text, first_at timestamptz,
        next_attempt timestamptz, at timestamptz, duration_ms integer, http_status integer,
        error text, response text)
), settled as (
    update deliveries d set
        status = item.status, tries = d.tries + 1, first_at = item.first_at,
        next_attempt = coalesce(item.next_attempt, d.next_attempt), claim_id = null
    from item
    where d.merchant_id = item.merchant_id and d.id = item.id
        and d.claim_id = item.claim_id  -- whatever ends a delivery takes its claim away
    returning d.id
), attempt as (
    insert into delivery_attempts (merchant_id, delivery_id, created, duration_ms, http_status,
        error, response)
    select merchant_id, id, at, duration_ms, http_status, error, response from item
)
select id from settled
"""

BACKLOG = """
select count(*) as number, min(next_attempt) as next from deliveries where status = 'pending'
"""

DISABLE = """
with gone as (
    update webhook_endpoints set status = 'disabled'
    where merchant_id = %(merchant_id)s and id = %(endpoint_id)s
)
update deliveries set status = 'canceled', claim_id = null
where merchant_id = %(merchant_id)s and endpoint_id = %(endpoint_id)s and status = 'pending'
"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it was consumed. message: a serialized PaymentIntentEvent."""

    id: str
    merchant_id: MerchantId
    mode: str
    type: str
    message: bytes
    created: int


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """A delivery that this process may send until its lease is over."""

    merchant_id: MerchantId
    id: str
    endpoint_id: str
    event_id: str
    claim_id: UUID
    tries: int
    first_at: datetime | None
    url: str
    body: bytes
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a claimed delivery came to. next_attempt: None unless it stays pending."""

    claim: Claim
    status: DeliveryStatus
    first_at: datetime
    made: Try
    next_attempt: datetime | None


class DeliveryQueue:
    """The waiting deliveries."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self.settlements: Coalescer[Settlement, bool] = Coalescer("webhook.settle", self._settle)

    async def endpoints(self, merchant_ids: set[MerchantId]) -> list[Endpoint]:
        """Return the enabled endpoints of these merchants."""
        rows = await self._database.fetch(ENDPOINTS, merchant_ids=sorted(merchant_ids))
        return [
            Endpoint(
                row["id"],
                row["merchant_id"],
                row["mode"],
                row["url"],
                tuple(row["enabled_events"]),
                row["created"],
            )
            for row in rows
        ]

    async def insert(
        self, found: Sequence[NewEvent], endpoints: Sequence[Endpoint], now: datetime
    ) -> int:
        """Write events with a delivery to each endpoint that subscribes; return how many.

        An event that is there already changes nothing.
        """
        items = [
            {
                "merchant_id": event.merchant_id,
                "id": event.id,
                "mode": event.mode,
                "type": event.type,
                "message": event.message,
                "created": event.created,
                "deliveries": [
                    {"id": new_id("dlv", event.merchant_id), "endpoint_id": endpoint.id}
                    for endpoint in endpoints
                    if (endpoint.merchant_id, endpoint.mode) == (event.merchant_id, event.mode)
                    and endpoint.subscribes(event.type)
                ],
            }
            for event in found
        ]
        [row] = await self._database.run_batch(INSERT, items, now=now)
        return int(row["count"])

    async def claim(
        self, now: datetime, *, is_retry: bool, limit: int, per_endpoint: int, busy: list[str]
    ) -> list[Claim]:
        """Take due deliveries: so many of one endpoint at most, none of those that are busy."""
        rows = await self._database.fetch(
            CLAIM,
            now=now,
            is_retry=is_retry,
            limit=limit,
            per_endpoint=per_endpoint,
            busy=busy,
            claim_id=str(uuid4()),
            lease_until=now + LEASE,
        )
        return [self._claimed(row) for row in rows]

    async def disable(self, claim: Claim) -> None:
        """Disable an endpoint that wants nothing any more, and cancel what waits for it."""
        await self._database.fetch(
            DISABLE, merchant_id=claim.merchant_id, endpoint_id=claim.endpoint_id
        )

    async def backlog(self, now: datetime) -> tuple[int, float]:
        """Return how many deliveries wait, and for how many seconds the first has been due."""
        [row] = await self._database.fetch(BACKLOG)
        due_s = (now - row["next"]).total_seconds() if row["next"] is not None else 0.0
        return row["number"], max(0.0, due_s)

    def _claimed(self, row: Any) -> Claim:
        endpoint_id = row["endpoint_id"]
        return Claim(
            merchant_id=row["merchant_id"],
            id=row["id"],
            endpoint_id=endpoint_id,
            event_id=row["event_id"],
            claim_id=row["claim_id"],
            tries=row["tries"],
            first_at=row["first_at"],
            url=row["url"],
            body=webhook_body(row["message"]),
            secrets=tuple(
                self._sealer.open(sealed, endpoint_id).decode() for sealed in row["sealed"]
            ),
        )

    async def _settle(self, items: Sequence[Settlement]) -> list[bool]:
        """Write what tries came to; False for one whose lease was over and taken by another."""
        rows = await self._database.run_batch(SETTLE, [_settled_row(item) for item in items])
        settled = {row["id"] for row in rows}
        return [item.claim.id in settled for item in items]


def _settled_row(item: Settlement) -> dict[str, object]:
    return {
        "merchant_id": item.claim.merchant_id,
        "id": item.claim.id,
        "claim_id": item.claim.claim_id,
        "status": item.status,
        "first_at": item.first_at,
        "next_attempt": item.next_attempt,
        "at": item.made.at,
        "duration_ms": item.made.duration_ms,
        "http_status": item.made.http_status,
        "error": item.made.error,
        "response": item.made.response,
    }
