"""Payment intents that were purged: what is left of them here, and what the archive has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chassis.archived import FIND_PURGED, ArchiveClient, Purged, moment
from chassis.database import Database
from intent_svc.domain.payment_intent import PaymentIntent
from intent_svc.store.rows import intent_of

FIND_PURGED_MANY = """
select payment_intent_id
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, payment_intent_id text)
join purged_payments using (merchant_id, payment_intent_id)
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """A merchant and one of its payments."""

    merchant_id: str
    payment_intent_id: str


class ArchivedIntents:
    """Reads intents that were purged."""

    def __init__(self, database: Database, archive: ArchiveClient) -> None:
        self._database = database
        self._archive = archive

    async def find(self, merchant_id: str, mode: str, intent_id: str) -> PaymentIntent | None:
        """Return a merchant's intent that was purged, or None if none was.

        Raises ServiceUnavailable, Overloaded: then one was, and what it was can't be said now.
        """
        rows = await self._database.fetch(
            FIND_PURGED, merchant_id=merchant_id, payment_intent_id=intent_id
        )
        for told in (Purged(**row) for row in rows):
            if told.mode == mode:
                [row] = await self._archive.purged(intent_id, told)
                return archived_intent(row.values)
        return None

    async def which(self, payments: Sequence[Owner]) -> list[str]:
        """Return the ids of those that were purged."""
        items = [
            {"merchant_id": one.merchant_id, "payment_intent_id": one.payment_intent_id}
            for one in payments
        ]
        rows = await self._database.run_batch(FIND_PURGED_MANY, items)
        return [row["payment_intent_id"] for row in rows]


def archived_intent(values: dict[str, Any]) -> PaymentIntent:
    """Return the intent of a row as Debezium tells of it."""
    times = {name: moment(values[name]) for name in ("created", "capture_before", "due")}
    return intent_of(values | times | {"metadata": orjson.loads(values["metadata"])})
