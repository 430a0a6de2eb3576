"""Attempts in PostgreSQL as those who resolve them see them: one by one, and what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DomainError, ResourceMissing
from chassis.ids import AttemptId, MerchantId, new_id
from txn_svc.domain.attempt import Attempt
from txn_svc.domain.transaction import AbandonedClaim, Transaction
from txn_svc.messages import abandoned_event
from txn_svc.store.rows import attempt_of, transaction_of
from txn_svc.store.statements import (
    ABANDONED_CLAIMS,
    CLAIM_REVERSALS,
    COUNT_RECORDED,
    FORGET_CLAIMS,
    GIVE_UP,
    LOCK,
    NEVER_RECORDED,
    OPEN_STANS,
    READ_ATTEMPT,
    READ_BY_RRN,
)

Owned = tuple[MerchantId, AttemptId]
Named = tuple[str, str]
Exchange = tuple[Transaction, Attempt]


class AttemptStore:
    """Finds attempts that need something done; changes of them are moves of the charge store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.reads: Coalescer[Owned, Exchange] = Coalescer("txn.attempt", self._read)
        # By network and RRN: an authorization and its captures.
        self.by_rrn: Coalescer[Named, list[Exchange]] = Coalescer("txn.by_rrn", self._by_rrn)

    async def claim_reversals(self, limit: int, lease: timedelta) -> list[Exchange]:
        """Return exchanges whose reversal is due; they are this process's until a lease is over."""
        now = self._clock.now()
        rows = await self._database.fetch(
            CLAIM_REVERSALS, now=now, limit=limit, lease_until=now + lease
        )
        return [_exchange(row) for row in rows]

    async def open_stans(self) -> dict[str, set[str]]:
        """Return the STANs of all exchanges and advices that are not over, by network."""
        found: dict[str, set[str]] = {}
        for row in await self._database.fetch(OPEN_STANS):
            found.setdefault(row["network"], set()).add(row["stan"])
        return found

    async def count(self, created_from: int, created_until: int) -> int:
        """Return how many attempts were recorded from then until before then, Unix seconds."""
        [row] = await self._database.fetch(
            COUNT_RECORDED, created_from=created_from, created_until=created_until
        )
        number: int = row["number"]
        return number

    async def never_recorded(self, before: datetime, limit: int) -> list[Transaction]:
        """Return transactions begun before then for which nothing was ever to be sent."""
        rows = await self._database.fetch(NEVER_RECORDED, before=before, limit=limit)
        return [transaction_of(row) for row in rows]

    async def abandoned_claims(self, before: datetime, limit: int) -> list[AbandonedClaim]:
        """Return what was begun before then and taken back, and not forgotten yet."""
        rows = await self._database.fetch(ABANDONED_CLAIMS, before=before, limit=limit)
        return [AbandonedClaim(**row) for row in rows]

    async def forget(self, claims: Sequence[AbandonedClaim]) -> None:
        """Forget claims of which their intents know."""
        items = [
            {"merchant_id": claim.merchant_id, "transaction_id": claim.transaction_id}
            for claim in claims
        ]
        await self._database.run_batch(FORGET_CLAIMS, items)

    async def give_up(self, failed: Transaction) -> bool:
        """Write a transaction as failed, with its event, unless an attempt was recorded for it."""
        if failed.failure is None:
            raise ValueError("a transaction is given up for a reason")
        event_id = new_id("evt", failed.merchant_id)
        event = abandoned_event(failed, event_id, int(self._clock.now().timestamp()))
        key = {"merchant_id": failed.merchant_id, "id": failed.id}
        async with self._database.transaction() as tx:
            # The lock comes first, so that the next statement sees an attempt recorded meanwhile.
            await tx.execute(sa.text(LOCK), key)
            given_up = await tx.execute(
                sa.text(GIVE_UP),
                {
                    **key,
                    "amount_minor": failed.amount_minor,
                    "currency": failed.currency,
                    "failure_code": failed.failure.code,
                    "failure_message": failed.failure.message,
                    "payment_intent_id": failed.payment_intent_id,
                    "event_id": event_id,
                    "event": event.SerializeToString(),
                },
            )
            return given_up.first() is not None

    async def _by_rrn(self, items: Sequence[Named]) -> list[list[Exchange]]:
        rows = await self._database.run_batch(
            READ_BY_RRN, [{"network": network, "rrn": rrn} for network, rrn in sorted(set(items))]
        )
        found: dict[Named, list[Exchange]] = {}
        for exchange in map(_exchange, rows):
            found.setdefault((exchange[1].network, exchange[1].rrn), []).append(exchange)
        return [found.get(item, []) for item in items]

    async def _read(self, items: Sequence[Owned]) -> list[Exchange | DomainError]:
        rows = await self._database.run_batch(
            READ_ATTEMPT, [{"merchant_id": owner, "id": id_} for owner, id_ in sorted(set(items))]
        )
        found = {(e[1].merchant_id, e[1].id): e for e in map(_exchange, rows)}
        return [
            found.get(item) or ResourceMissing("No such attempt.", param="attempt_id")
            for item in items
        ]


def _exchange(row: Any) -> Exchange:
    attempt = attempt_of(row)
    if attempt is None:
        raise LookupError(row["id"])
    return transaction_of(row), attempt
