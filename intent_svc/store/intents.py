"""Payment intents in PostgreSQL: each change is one statement over a set of items.

A change is decided on an intent as this process wrote it last, or else as it is read, and written
only if the row still has that `version`, together with its event and its idempotency key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard

import sqlalchemy as sa
from psycopg.errors import UniqueViolation

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import (
    DomainError,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    Overloaded,
    ResourceMissing,
)
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.paging import Page, Period
from intent_svc.domain.payment_intent import PUBLIC_NAMES, PaymentIntent, Status
from intent_svc.messages import payment_intent_message
from intent_svc.store.items import Answer, Change, Changed, Creation, Key, Owned
from intent_svc.store.keys import KeyStore, Used
from intent_svc.store.rows import changed_row, intent_of, new_row
from intent_svc.store.statements import CHANGE, CREATE, READ
from intent_svc.tables import payment_intents

REMEMBERED_MAX = 20_000

# A round settles a change of each intent, unless what is remembered of it is out of date or another
# process moves it just then. So rounds settle nothing for long only where others do nothing else.
IDLE_ROUNDS_MAX = 8


class IntentStore:
    """The only owner of the intent tables."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._remembered: OrderedDict[Owned, PaymentIntent] = OrderedDict()
        self.creations: Coalescer[Creation, Answer] = Coalescer("intent.create", self._create)
        self.changes: Coalescer[Change, Changed] = Coalescer("intent.change", self._change)
        self.reads: Coalescer[Owned, PaymentIntent] = Coalescer("intent.read", self._read)
        self.keys = KeyStore(database)

    async def close(self) -> None:
        """Finish what was begun."""
        for coalescer in (self.creations, self.changes, self.reads, self.keys.answers):
            await coalescer.close()

    async def page(
        self, caller: Caller, page: Page, status: Status | None, created: Period
    ) -> tuple[list[PaymentIntent], bool]:
        """Return a page of the caller's intents and whether there are more."""
        table = payment_intents.c
        query = sa.select(payment_intents).where(
            table.merchant_id == caller.merchant_id,
            table.mode == caller.mode,
            *created.holds(table.created),
        )
        if status is not None:
            query = query.where(table.status.in_(_shown_as(status)))
        rows, has_more = page.cut(await self._database.select(page.of(query, table.id)))
        return [intent_of(row) for row in rows], has_more

    async def _create(self, items: Sequence[Creation]) -> list[Answer | DomainError]:
        answers = [
            payment_intent_message(item.intent).SerializeToString(deterministic=True)
            for item in items
        ]
        first_by_key: dict[Key, int] = {}
        for number, item in enumerate(items):
            if item.keyed is not None:
                first_by_key.setdefault(_key(item.intent, item.keyed), number)
        chosen = [
            number
            for number, item in enumerate(items)
            if item.keyed is None or first_by_key[_key(item.intent, item.keyed)] == number
        ]
        # Processes that write the same keys take them in one order, or they block each other.
        chosen.sort(key=lambda number: _key(items[number].intent, items[number].keyed))
        rows = await self._database.run_batch(
            CREATE, [new_row(items[n], answers[n]) for n in chosen]
        )
        fresh = {row["id"] for row in rows}
        used = await self.keys.find(
            [_key(item.intent, item.keyed) for item in items if _is_used(item, fresh)]
        )
        for item in items:
            if item.intent.id in fresh:
                self._remember(item.intent)
        return [
            _replayed(item, used) if _is_used(item, fresh) else Answer(answer, is_replay=False)
            for item, answer in zip(items, answers, strict=True)
        ]

    async def _read(self, items: Sequence[Owned]) -> list[PaymentIntent | DomainError]:
        found = await self._found(items)
        return [found.get(item) or _missing() for item in items]

    async def _found(self, items: Collection[Owned]) -> dict[Owned, PaymentIntent]:
        rows = await self._database.run_batch(
            READ,
            [{"merchant_id": owner, "id": intent_id} for owner, intent_id in set(items)],
        )
        intents = [intent_of(row) for row in rows]
        return {(intent.merchant_id, intent.id): intent for intent in intents}

    async def _change(self, items: Sequence[Change]) -> list[Changed | DomainError]:
        verdicts: dict[int, Changed | DomainError] = {}
        idle_rounds = 0
        while len(verdicts) < len(items) and idle_rounds < IDLE_ROUNDS_MAX:
            open_items = {n: item for n, item in enumerate(items) if n not in verdicts}
            try:
                settled = await self._change_round(open_items)
            except UniqueViolation as refused:
                # Another process has used the key meanwhile; alone, this item finds its answer.
                if len(items) > 1 or refused.diag.table_name != "idempotency_keys":
                    raise
                raise IdempotencyKeyInUse from refused
            verdicts |= settled
            idle_rounds = 0 if settled else idle_rounds + 1
        return [verdicts.get(n) or Overloaded() for n in range(len(items))]

    async def _change_round(self, items: dict[int, Change]) -> dict[int, Changed | DomainError]:
        """Decide and write; what others have changed meanwhile is left for a next round.

        A write finds out whether what is remembered is still true. Any other verdict needs the row.
        """
        to_read = {i.owned for i in items.values() if i.owned not in self._remembered}
        found = await self._found(to_read) if to_read else {}
        # After the rows: who sees what a call has done to an intent sees that call's key too.
        used = await self.keys.find(
            [
                (item.merchant_id, item.mode or "", item.keyed.key)
                for item in items.values()
                if item.keyed is not None
            ]
        )
        verdicts: dict[int, Changed | DomainError] = {}
        writes: dict[str, tuple[int, PaymentIntent]] = {}
        rows: list[dict[str, object]] = []
        # Processes that move the same intents take them in one order, or they block each other.
        for number, item in sorted(items.items(), key=lambda pair: pair[1].intent_id):
            was = found.get(item.owned) or self._remembered.get(item.owned)
            if item.intent_id in writes or (was is None and item.owned not in to_read):
                continue  # one change of an intent a round; and what is in doubt is read next
            verdict = _decided(item, was, used)
            if was is not None and _is_write(verdict, item, was):
                writes[item.intent_id] = number, verdict.intent
                rows.append(changed_row(item, was, verdict.intent, self._clock.now()))
            elif self._remembered.pop(item.owned, None) is None:
                verdicts[number] = verdict
        for _, intent in writes.values():
            self._remembered.pop((intent.merchant_id, intent.id), None)
        for row in await self._database.run_batch(CHANGE, rows) if rows else ():
            number, intent = writes[row["id"]]
            verdicts[number] = Changed(intent)
            self._remember(intent)
        return verdicts

    def _remember(self, intent: PaymentIntent) -> None:
        """Keep an intent as it was just written, so that its next change need not read it."""
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        self._remembered[intent.merchant_id, intent.id] = intent


def _is_write(
    verdict: Changed | DomainError, item: Change, was: PaymentIntent
) -> TypeGuard[Changed]:
    return (
        isinstance(verdict, Changed)
        and verdict.replay is None
        and not verdict.is_begun
        and (verdict.intent is not was or item.keyed is not None)
    )


def _decided(
    item: Change,
    was: PaymentIntent | None,
    used: Mapping[Key, Used],
) -> Changed | DomainError:
    if was is None or item.mode not in {None, was.mode}:
        return _missing()
    if item.keyed is not None:
        earlier = used.get((item.merchant_id, was.mode, item.keyed.key))
        if earlier is not None:
            if earlier.request_hash != item.keyed.request_hash:
                return IdempotencyKeyReused()
            return Changed(was, earlier.response, is_begun=earlier.response is None)
    try:
        return Changed(item.decide(was))
    except DomainError as refused:
        return refused


def _key(intent: PaymentIntent, keyed: Keyed | None) -> Key:
    return intent.merchant_id, intent.mode, keyed.key if keyed is not None else ""


def _is_used(item: Creation, fresh: set[str]) -> bool:
    return item.keyed is not None and item.intent.id not in fresh


def _replayed(item: Creation, used: Mapping[Key, Used]) -> Answer | DomainError:
    found = used.get(_key(item.intent, item.keyed))
    if found is None or item.keyed is None:  # committed by another process after our snapshot
        return IdempotencyKeyInUse()
    if found.request_hash != item.keyed.request_hash or found.response is None:
        return IdempotencyKeyReused()
    return Answer(found.response, is_replay=True)


def _shown_as(shown: Status) -> list[Status]:
    """Return the statuses that merchants see as this one."""
    return [status for status in Status if PUBLIC_NAMES[status] == shown]


def _missing() -> ResourceMissing:
    return ResourceMissing("No such payment intent.", param="paymentIntentId")
