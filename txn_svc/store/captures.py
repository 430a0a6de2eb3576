"""Captures in PostgreSQL: written down before they are sent, and claimed until acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from txn_svc.domain.attempt import Attempt
from txn_svc.store.events import recorded_item
from txn_svc.store.rows import Step, attempt_item, attempt_of
from txn_svc.store.statements import CLAIM_CAPTURES, RECORD_CAPTURE


class CaptureStore:
    """Writes new captures and finds those that are due; changes are moves of the charge store."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.records: Coalescer[Step, bool] = Coalescer("txn.capture", self._record)

    async def close(self) -> None:
        """Finish what was begun."""
        await self.records.close()

    async def claim(self, limit: int, lease: timedelta) -> list[tuple[Attempt, Attempt]]:
        """Return authorizations and their captures that are due, this process's until a lease ends.

        A capture is due when it was not acknowledged, or when whoever wrote it down is gone.
        """
        now = self._clock.now()
        rows = await self._database.fetch(
            CLAIM_CAPTURES, now=now, limit=limit, lease_until=now + lease
        )
        found = [(attempt_of(row), attempt_of(row, "capture")) for row in rows]
        return [(held, capture) for held, capture in found if held and capture]

    async def _record(self, items: Sequence[Step]) -> list[bool]:
        """Write down what will be sent; False when it is released or captured already."""
        first: dict[str, Step] = {}
        for item in items:
            first.setdefault(item.transaction.id, item)
        rows = await self._database.run_batch(
            RECORD_CAPTURE,
            [
                {**attempt_item(first[name].attempt), **recorded_item(first[name], self._clock)}
                for name in sorted(first)
            ],
        )
        recorded = {row["id"] for row in rows}
        return [item.attempt.id in recorded for item in items]
