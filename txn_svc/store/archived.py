"""Transactions that were purged: what is left of them here, and what the archive has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from chassis.archived import FIND_PURGED, ArchiveClient, ArchivedRow, Purged, moment, of_table
from chassis.database import Database
from chassis.identity import Caller
from txn_svc.domain.attempt import Attempt
from txn_svc.domain.transaction import Transaction
from txn_svc.store.rows import attempt_of_json, transaction_of

Archived = tuple[Transaction, list[Attempt]]


class ArchivedCharges:
    """Reads transactions that were purged."""

    def __init__(self, database: Database, archive: ArchiveClient) -> None:
        self._database = database
        self._archive = archive

    async def find(self, caller: Caller, intent_id: str) -> list[Archived] | None:
        """Return the transactions of a caller's payment, newest first, each with its attempts, the
        authorization first; None if it was not purged.

        Raises ServiceUnavailable, Overloaded: then it was, and what it was can't be said now.
        """
        rows = await self._database.fetch(
            FIND_PURGED, merchant_id=caller.merchant_id, payment_intent_id=intent_id
        )
        for told in (Purged(**row) for row in rows):
            if told.mode == caller.mode:
                return charges_of(await self._archive.purged(intent_id, told))
        return None


def charges_of(rows: Sequence[ArchivedRow]) -> list[Archived]:
    """Return transactions, newest first, and their attempts, of rows as Debezium tells of them."""
    attempts = [_readable(values) for values in of_table(rows, "attempts")]
    attempts.sort(key=lambda values: int(values["capture_number"]))
    found = []
    for values in sorted(of_table(rows, "transactions"), key=lambda each: each["id"], reverse=True):
        own = [each for each in attempts if each["transaction_id"] == values["id"]]
        times = {name: moment(values[name]) for name in ("created", "capture_before")}
        transaction = transaction_of(values | times | {"attempt": own[0] if own else None})
        found.append((transaction, [attempt_of_json(each) for each in own]))
    return found


def _readable(values: dict[str, Any]) -> dict[str, Any]:
    """Return an attempt as PostgreSQL makes JSON of it."""
    return values | {"messages": orjson.loads(values["messages"])}
