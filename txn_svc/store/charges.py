"""Transactions and attempts of charges in PostgreSQL: each step is one statement over a set.

Sets are sorted: processes that write the same rows in one order don't block each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from psycopg.errors import ForeignKeyViolation

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DomainError, IdempotencyKeyInUse, ResourceMissing
from chassis.identity import Caller
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from chassis.paging import Page
from txn_svc.domain.attempt import Attempt
from txn_svc.domain.transaction import Transaction, TransactionStatus
from txn_svc.store.events import moved_item, recorded_item
from txn_svc.store.rows import (
    Move,
    Step,
    attempt_item,
    attempt_of,
    captures_of,
    envelope_item,
    move_item,
    transaction_of,
)
from txn_svc.store.statements import ABANDON, BEGIN, MOVE, READ_BY_KEY, READ_TRANSACTION, RECORD
from txn_svc.tables import attempts, transactions


@dataclass(frozen=True, slots=True)
class Beginning:
    """A charge as it is first written down, and what the caller's key was used for."""

    transaction: Transaction
    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """A charge that a key was used for. attempt: None while nothing was recorded to be sent."""

    transaction: Transaction
    request_hash: bytes
    attempt: Attempt | None


Owned = tuple[MerchantId, TransactionId]
Key = tuple[str, str, str]
Read = tuple[Transaction, Attempt | None, tuple[Attempt, ...]]


class ChargeStore:
    """Writes charges step by step, and reads transactions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.beginnings: Coalescer[Beginning, Known | None] = Coalescer("txn.begin", self._begin)
        self.by_key: Coalescer[Key, Known | None] = Coalescer("txn.by_key", self._by_key)
        self.records: Coalescer[Step, None] = Coalescer("txn.record", self._record)
        self.moves: Coalescer[Move, bool] = Coalescer("txn.move", self._move)
        self.abandonments: Coalescer[Owned, None] = Coalescer("txn.abandon", self._abandon)
        # Of each its authorization and its captures, in order.
        self.reads: Coalescer[Owned, Read] = Coalescer("txn.read", self._read)

    async def close(self) -> None:
        """Finish what was begun."""
        for coalescer in (self.beginnings, self.records, self.moves, self.abandonments):
            await coalescer.close()

    async def page(
        self, caller: Caller, intent_id: PaymentIntentId, page: Page
    ) -> tuple[list[Transaction], bool]:
        """Return a page of transactions, newest first, and whether there are more that way."""
        table = transactions.c
        query = (
            sa.select(transactions, sa.func.to_jsonb(attempts.table_valued()).label("attempt"))
            .outerjoin(
                attempts,
                sa.and_(
                    attempts.c.merchant_id == table.merchant_id,
                    attempts.c.transaction_id == table.id,
                    attempts.c.capture_number == 0,
                ),
            )
            .where(
                table.merchant_id == caller.merchant_id,
                table.payment_intent_id == intent_id,
                table.mode == caller.mode,
                sa.or_(attempts.c.id.is_not(None), table.status != TransactionStatus.PENDING),
            )
        )
        rows, has_more = page.cut(await self._database.select(page.of(query, table.id)))
        return [transaction_of(row) for row in rows], has_more

    async def _begin(self, items: Sequence[Beginning]) -> list[Known | DomainError | None]:
        """Insert what is new; return None for it, and for a used key what it was used for.

        Where neither is the case, its card token was not to be had, or its key is being given up:
        the caller finds out.
        """
        first_by_key: dict[Key, Beginning] = {}
        for item in items:
            first_by_key.setdefault(_key(item), item)
        new = sorted(map(_new_row, first_by_key.values()), key=_lock_order)
        rows = await self._database.run_batch(BEGIN, new)
        fresh = {row["id"] for row in rows}
        used = [item for item in items if item.transaction.id not in fresh]
        found = await self._known([_key(item) for item in used]) if used else {}
        return [
            None if item.transaction.id in fresh else found.get(_key(item)) or IdempotencyKeyInUse()
            for item in items
        ]

    async def _by_key(self, items: Sequence[Key]) -> list[Known | None]:
        found = await self._known(items)
        return [found.get(key) for key in items]

    async def _known(self, keys: Sequence[Key]) -> dict[Key, Known]:
        rows = await self._database.run_batch(
            READ_BY_KEY,
            [{"merchant_id": owner, "mode": mode, "key": key} for owner, mode, key in set(keys)],
        )
        return {
            (row["merchant_id"], row["mode"], row["idempotency_key"]): Known(
                transaction_of(row), row["request_hash"], attempt_of(row)
            )
            for row in rows
        }

    async def _record(self, items: Sequence[Step]) -> list[DomainError | None]:
        """Write down what will be sent; one caller at most gets leave to send."""
        ordered = sorted(items, key=lambda item: item.transaction.id)
        rows = await self._database.run_batch(
            RECORD,
            [
                {
                    **attempt_item(item.attempt),
                    **envelope_item(item.envelope),
                    **recorded_item(item, self._clock),
                }
                for item in ordered
            ],
        )
        recorded = {row["id"] for row in rows}
        return [None if item.attempt.id in recorded else IdempotencyKeyInUse() for item in items]

    async def _move(self, items: Sequence[Move]) -> list[bool]:
        """Write changes; False for an attempt that was changed since it was decided on."""
        first: dict[str, Move] = {}
        for item in items:
            first.setdefault(item.attempt.id, item)  # of several decisions one at most can be right
        rows = await self._database.run_batch(
            MOVE,
            [
                {
                    **move_item(first[name].transaction, first[name].attempt),
                    **moved_item(first[name], self._clock),
                }
                for name in sorted(first)
            ],
        )
        moved = {row["id"] for row in rows}
        return [item.attempt.id in moved and first[item.attempt.id] is item for item in items]

    async def _abandon(self, items: Sequence[Owned]) -> list[None]:
        try:
            await self._database.run_batch(ABANDON, [_owned_row(item) for item in sorted(items)])
        except ForeignKeyViolation:
            # Another process has recorded an attempt meanwhile; alone, this one simply stays.
            if len(items) > 1:
                raise
        return [None] * len(items)

    async def _read(self, items: Sequence[Owned]) -> list[Read | DomainError]:
        rows = await self._database.run_batch(
            READ_TRANSACTION, [_owned_row(item) for item in set(items)]
        )
        found = {
            (row["merchant_id"], row["id"]): (
                transaction_of(row),
                attempt_of(row),
                captures_of(row),
            )
            for row in rows
        }
        return [
            found.get(item) or ResourceMissing("No such transaction.", param="transactionId")
            for item in items
        ]


def _key(item: Beginning) -> Key:
    return item.transaction.merchant_id, item.transaction.mode, item.key


def _lock_order(row: dict[str, object]) -> tuple[str, ...]:
    """Return what sorts rows by the keys that they may wait for."""
    return tuple(str(row[name] or "") for name in ("card_token", "merchant_id", "mode", "key"))


def _owned_row(item: Owned) -> dict[str, object]:
    return {"merchant_id": item[0], "id": item[1]}


def _new_row(item: Beginning) -> dict[str, object]:
    transaction = item.transaction
    return {
        "merchant_id": transaction.merchant_id,
        "id": transaction.id,
        "mode": transaction.mode,
        "payment_intent_id": transaction.payment_intent_id,
        "key": item.key,
        "request_hash": item.request_hash,
        "card_brand": transaction.card.brand,
        "card_last4": transaction.card.last4,
        "card_exp_month": transaction.card.exp_month,
        "card_exp_year": transaction.card.exp_year,
        "card_bin": transaction.card.card_bin,
        "card_fingerprint": transaction.card.fingerprint,
        "card_fingerprint_kid": transaction.card.fingerprint_kid,
        "card_token": transaction.card_token,
        "created": transaction.created,
    }
