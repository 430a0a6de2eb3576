"""Payment intents about which something is to be done without anyone asking: rows with a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from intent_svc.domain.payment_intent import PaymentIntent
from intent_svc.store.rows import intent_of
from intent_svc.store.statements import CLAIM_DUE, HANDED_OVER

LEASE = timedelta(seconds=60)  # longer than a card network and txn_svc may take to answer


class DueStore:
    """Finds what is due; changes of it are those of the intent store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.handed_over: Coalescer[PaymentIntent, None] = Coalescer(
            "intent.handed_over", self._handed_over
        )

    async def close(self) -> None:
        """Finish what was begun."""
        await self.handed_over.close()

    async def claim(self, limit: int) -> list[PaymentIntent]:
        """Return intents that are due; they are this process's until a lease is over."""
        now = self._clock.now()
        rows = await self._database.fetch(CLAIM_DUE, now=now, limit=limit, lease_until=now + LEASE)
        return [intent_of(row) for row in rows]

    async def _handed_over(self, items: Sequence[PaymentIntent]) -> list[None]:
        """Note that txn_svc has written down what is to be done, and does it."""
        intents = {intent.id: intent for intent in items}
        await self._database.run_batch(
            HANDED_OVER,
            [
                {"merchant_id": intent.merchant_id, "id": name, "version": intent.version}
                for name, intent in sorted(intents.items())
            ],
        )
        return [None] * len(items)
