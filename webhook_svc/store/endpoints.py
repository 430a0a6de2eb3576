"""Endpoints, their secrets, events and deliveries as merchants see and change them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import Database, Row
from chassis.errors import IdempotencyKeyReused, ResourceMissing
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.ids import EndpointId, MerchantId, new_id
from chassis.paging import Page, Period
from chassis.sealing import Sealer
from webhook_svc.domain.delivery import Delivery, DeliveryStatus, Try
from webhook_svc.domain.endpoint import (
    ENDPOINTS_MAX,
    Endpoint,
    EndpointStatus,
    WebhookEndpointLimitReached,
)
from webhook_svc.tables import (
    deliveries,
    delivery_attempts,
    events,
    idempotency_keys,
    webhook_endpoints,
    webhook_secrets,
)

TRIES_SHOWN_MAX = 20
REPLAYED_MAX = 10_000


class EndpointStore:
    """Reads and writes for one merchant and mode at a time, in the caller's transaction."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Everything inside commits together, or nothing does."""
        async with self._database.transaction() as connection:
            yield connection

    async def use_key(self, tx: AsyncConnection, caller: Caller, keyed: Keyed) -> bytes | None:
        """Take a key for this transaction; return the first answer of a used one.

        Waits for another transaction that holds the key. Raises IdempotencyKeyReused.
        """
        taken = await tx.execute(
            insert(idempotency_keys)
            .values(
                merchant_id=caller.merchant_id,
                mode=caller.mode,
                key=keyed.key,
                request_hash=keyed.request_hash,
            )
            .on_conflict_do_nothing()
            .returning(idempotency_keys.c.key)
        )
        if taken.first() is not None:
            return None
        found = await tx.execute(sa.select(idempotency_keys).where(*_is_key(caller, keyed.key)))
        row = found.mappings().one()
        if row["request_hash"] != keyed.request_hash:
            raise IdempotencyKeyReused
        return self._sealer.open(row["response"], f"{caller.merchant_id} {keyed.key}")

    async def keep_answer(
        self, tx: AsyncConnection, caller: Caller, key: str, response: bytes
    ) -> None:
        """Keep the answer of a taken key; sealed, since it may hold a signing secret."""
        sealed = self._sealer.seal(response, f"{caller.merchant_id} {key}")
        await tx.execute(
            sa.update(idempotency_keys).where(*_is_key(caller, key)).values(response=sealed)
        )

    async def insert(self, tx: AsyncConnection, endpoint: Endpoint, secret: str) -> None:
        """Write a new endpoint. Raises WebhookEndpointLimitReached."""
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(endpoint.merchant_id, 0))
        await tx.execute(sa.select(lock))
        held = await tx.scalar(
            sa.select(sa.func.count())
            .select_from(webhook_endpoints)
            .where(
                webhook_endpoints.c.merchant_id == endpoint.merchant_id,
                webhook_endpoints.c.mode == endpoint.mode,
            )
        )
        if (held or 0) >= ENDPOINTS_MAX:
            raise WebhookEndpointLimitReached
        await tx.execute(
            sa.insert(webhook_endpoints).values(
                merchant_id=endpoint.merchant_id,
                id=endpoint.id,
                mode=endpoint.mode,
                url=endpoint.url,
                enabled_events=list(endpoint.enabled_events),
                description=endpoint.description,
                status=endpoint.status,
                created=endpoint.created,
            )
        )
        await self.add_secret(tx, endpoint, secret)

    async def add_secret(self, tx: AsyncConnection, endpoint: Endpoint, secret: str) -> None:
        """Let a secret sign from now on."""
        await tx.execute(
            sa.insert(webhook_secrets).values(
                merchant_id=endpoint.merchant_id,
                endpoint_id=endpoint.id,
                sealed=self._sealer.seal(secret.encode(), endpoint.id),
            )
        )

    async def end_secrets(self, tx: AsyncConnection, endpoint: Endpoint, at: datetime) -> None:
        """Let the endpoint's secrets so far end then, if they do not end before."""
        table = webhook_secrets.c
        await tx.execute(
            sa.update(webhook_secrets)
            .where(table.merchant_id == endpoint.merchant_id, table.endpoint_id == endpoint.id)
            .values(expires=sa.func.least(table.expires, at))
        )

    async def find(
        self, tx: AsyncConnection, caller: Caller, endpoint_id: str, *, lock: bool = False
    ) -> Endpoint:
        """Return the caller's endpoint. Raises ResourceMissing."""
        table = webhook_endpoints.c
        query = sa.select(webhook_endpoints).where(
            table.merchant_id == caller.merchant_id,
            table.mode == caller.mode,
            table.id == endpoint_id,
        )
        found = await tx.execute(query.with_for_update() if lock else query)
        row = found.mappings().first()
        if row is None:
            raise ResourceMissing("No such webhook endpoint.", param="webhookEndpointId")
        return _endpoint(row)

    async def update(self, tx: AsyncConnection, endpoint: Endpoint) -> None:
        """Write an endpoint as it is now; a disabled one gets nothing of what is waiting."""
        table = webhook_endpoints.c
        await tx.execute(
            sa.update(webhook_endpoints)
            .where(table.merchant_id == endpoint.merchant_id, table.id == endpoint.id)
            .values(
                url=endpoint.url,
                enabled_events=list(endpoint.enabled_events),
                description=endpoint.description,
                status=endpoint.status,
            )
        )
        if endpoint.status is EndpointStatus.DISABLED:
            await self._cancel_deliveries(tx, endpoint)

    async def delete(self, tx: AsyncConnection, endpoint: Endpoint) -> None:
        """Delete an endpoint and its secrets; its deliveries stay as canceled."""
        table = webhook_endpoints.c
        await tx.execute(
            sa.delete(webhook_endpoints).where(
                table.merchant_id == endpoint.merchant_id, table.id == endpoint.id
            )
        )
        await self._cancel_deliveries(tx, endpoint)

    async def list_endpoints(
        self, tx: AsyncConnection, caller: Caller, page: Page
    ) -> tuple[list[Endpoint], bool]:
        """Return a page of the caller's endpoints and whether there are more."""
        table = webhook_endpoints.c
        query = sa.select(webhook_endpoints).where(
            table.merchant_id == caller.merchant_id, table.mode == caller.mode
        )
        rows, has_more = await _paged(tx, query, table.id, page)
        return [_endpoint(row) for row in rows], has_more

    async def event_message(self, tx: AsyncConnection, caller: Caller, event_id: str) -> bytes:
        """Return an event's message. Raises ResourceMissing."""
        found = await tx.scalar(
            sa.select(events.c.message).where(
                events.c.merchant_id == caller.merchant_id,
                events.c.mode == caller.mode,
                events.c.id == event_id,
            )
        )
        if found is None:
            raise ResourceMissing("No such event.", param="eventId")
        return bytes(found)

    async def list_events(
        self, tx: AsyncConnection, caller: Caller, page: Page, created: Period, type_: str | None
    ) -> tuple[list[bytes], bool]:
        """Return a page of events' messages and whether there are more."""
        query = sa.select(events.c.id, events.c.message).where(
            events.c.merchant_id == caller.merchant_id,
            events.c.mode == caller.mode,
            *created.holds(events.c.created),
        )
        if type_ is not None:
            query = query.where(events.c.type == type_)
        rows, has_more = await _paged(tx, query, events.c.id, page)
        return [bytes(row["message"]) for row in rows], has_more

    async def check_delivery(self, tx: AsyncConnection, endpoint: Endpoint, id_: str) -> None:
        """Return if the endpoint has this delivery. Raises ResourceMissing."""
        table = deliveries.c
        found = await tx.scalar(
            sa.select(table.id).where(
                table.merchant_id == endpoint.merchant_id,
                table.id == id_,
                table.endpoint_id == endpoint.id,
            )
        )
        if found is None:
            raise ResourceMissing("No such delivery.")

    async def list_deliveries(
        self,
        tx: AsyncConnection,
        endpoint: Endpoint,
        page: Page,
        status: DeliveryStatus | None,
    ) -> tuple[list[Delivery], bool]:
        """Return a page of deliveries with their tries, and whether there are more."""
        table = deliveries.c
        query = (
            sa.select(deliveries, events.c.type)
            .join(
                events,
                sa.and_(events.c.merchant_id == table.merchant_id, events.c.id == table.event_id),
            )
            .where(table.merchant_id == endpoint.merchant_id, table.endpoint_id == endpoint.id)
        )
        if status is not None:
            query = query.where(table.status == status)
        rows, has_more = await _paged(tx, query, table.id, page)
        tries = await self._tries(tx, endpoint.merchant_id, [row["id"] for row in rows])
        return [
            Delivery(
                id=row["id"],
                event_id=row["event_id"],
                event_type=row["type"],
                status=DeliveryStatus(row["status"]),
                next_attempt=row["next_attempt"],
                created=row["created"],
                tries=tries.get(row["id"], [])[-TRIES_SHOWN_MAX:],
            )
            for row in rows
        ], has_more

    async def replay(
        self,
        tx: AsyncConnection,
        endpoint: Endpoint,
        now: datetime,
        *,
        event_id: str | None,
        created: Period,
    ) -> int:
        """Queue events again as if they were new; return how many. Raises ResourceMissing."""
        query = sa.select(events.c.id).where(
            events.c.merchant_id == endpoint.merchant_id,
            events.c.mode == endpoint.mode,
            *created.holds(events.c.created),
        )
        if event_id is not None:
            query = query.where(events.c.id == event_id)
        elif "*" not in endpoint.enabled_events:
            query = query.where(events.c.type.in_(endpoint.enabled_events))
        chosen = await tx.scalars(query.order_by(events.c.id.desc()).limit(REPLAYED_MAX))
        rows = [
            {
                "merchant_id": endpoint.merchant_id,
                "id": new_id("dlv", endpoint.merchant_id),
                "endpoint_id": endpoint.id,
                "event_id": found,
                "status": DeliveryStatus.PENDING,
                "tries": 0,
                "next_attempt": now,
                "created": now,
            }
            for found in chosen
        ]
        if rows:
            again = {"status": "pending", "tries": 0, "first_at": None, "claim_id": None}
            queued = insert(deliveries).on_conflict_do_update(
                index_elements=["merchant_id", "endpoint_id", "event_id"],
                set_=again | {"next_attempt": now},
            )
            try:
                await tx.execute(queued, rows)
            except sa.exc.IntegrityError as purged:  # after it was chosen
                raise ResourceMissing("No such event.", param="eventId") from purged
        return len(rows)

    async def _tries(
        self, tx: AsyncConnection, merchant_id: MerchantId, ids: Sequence[str]
    ) -> dict[str, list[Try]]:
        table = delivery_attempts.c
        found = await tx.execute(
            sa.select(delivery_attempts)
            .where(table.merchant_id == merchant_id, table.delivery_id.in_(ids))
            .order_by(table.number)
        )
        tries: dict[str, list[Try]] = {}
        for row in found.mappings():
            tries.setdefault(row["delivery_id"], []).append(
                Try(
                    row["created"],
                    row["duration_ms"],
                    row["http_status"],
                    row["error"],
                    row["response"],
                )
            )
        return tries

    async def _cancel_deliveries(self, tx: AsyncConnection, endpoint: Endpoint) -> None:
        table = deliveries.c
        await tx.execute(
            sa.update(deliveries)
            .where(
                table.merchant_id == endpoint.merchant_id,
                table.endpoint_id == endpoint.id,
                table.status == DeliveryStatus.PENDING,
            )
            .values(status=DeliveryStatus.CANCELED, claim_id=None)
        )


def _is_key(caller: Caller, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    table = idempotency_keys.c
    return (
        table.merchant_id == caller.merchant_id,
        table.mode == caller.mode,
        table.key == key,
    )


async def _paged(
    tx: AsyncConnection, query: sa.Select[Any], id_: sa.Column[Any], page: Page
) -> tuple[list[Row], bool]:
    """Return the rows of a page and whether there are more."""
    found = await tx.execute(page.of(query, id_))
    return page.cut(found.mappings().all())


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        id=EndpointId(row["id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        mode=row["mode"],
        url=row["url"],
        enabled_events=tuple(row["enabled_events"]),
        created=row["created"],
        description=row["description"],
        status=EndpointStatus(row["status"]),
    )
