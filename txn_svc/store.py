"""Transactions and attempts in PostgreSQL: each step of a charge is one statement over a set.

Sets are sorted: processes that write the same rows in one order don't block each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from psycopg.errors import ForeignKeyViolation

from chassis import spans
from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DomainError, IdempotencyKeyInUse, ResourceMissing
from chassis.identity import Caller
from chassis.ids import MerchantId, PaymentIntentId, TransactionId, new_id
from chassis.paging import Page
from txn_svc.domain.attempt import CAME_FROM, Attempt, AttemptStatus
from txn_svc.domain.transaction import Failure, KeptCard, Transaction, TransactionStatus
from txn_svc.messages import attempt_event
from txn_svc.tables import attempts, transactions

BEGIN = """
insert into transactions (merchant_id, id, mode, payment_intent_id, idempotency_key, request_hash,
    status, card_brand, card_last4, card_exp_month, card_exp_year, created)
select merchant_id, id, mode, payment_intent_id, key, decode(request_hash, 'base64'),
    'pending', card_brand, card_last4, card_exp_month, card_exp_year, to_timestamp(created)
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, id text, mode text, payment_intent_id text, key text, request_hash text,
    card_brand text, card_last4 text, card_exp_month smallint, card_exp_year smallint,
    created bigint)
on conflict (merchant_id, mode, idempotency_key) do nothing
returning id
"""

READ_BY_KEY = """
select t.*, a.amount_minor as attempt_amount_minor, a.currency as attempt_currency,
    a.id as attempt_id, a.network, a.status as attempt_status, a.stan,
    a.rrn, a.transmitted_at, a.deadline, a.created as attempt_created, a.version
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, mode text, key text)
join transactions t on t.merchant_id = item.merchant_id and t.mode = item.mode
    and t.idempotency_key = item.key
left join attempts a on a.merchant_id = t.merchant_id and a.transaction_id = t.id
"""

READ = """
select t.*, a.amount_minor as attempt_amount_minor, a.currency as attempt_currency
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
join transactions t using (merchant_id, id)
left join attempts a on a.merchant_id = t.merchant_id and a.transaction_id = t.id
"""

ABANDON = """
delete from transactions t
using jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
where t.merchant_id = item.merchant_id and t.id = item.id
    and t.status = 'pending' and (
        select count(*) from attempts a
        where a.merchant_id = t.merchant_id and a.transaction_id = t.id
    ) = 0
"""

RECORD = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, transaction_id text, payment_intent_id text, network text,
        amount_minor integer, currency text, stan text, rrn text, transmitted_at text,
        deadline bigint, created bigint, event_id text, event text, traceparent text)
), held as (
    select item.* from item cross join lateral (
        select from transactions t
        where t.merchant_id = item.merchant_id and t.id = item.transaction_id
            and t.status = 'pending'
        for key share
    ) pending
), attempt as (
    insert into attempts (merchant_id, id, transaction_id, payment_intent_id, network, status,
        amount_minor, currency, stan, rrn, transmitted_at, deadline, version, created)
    select merchant_id, id, transaction_id, payment_intent_id, network, 'recorded',
        amount_minor, currency, stan, rrn, transmitted_at, to_timestamp(deadline), 1,
        to_timestamp(created)
    from held
    on conflict (merchant_id, transaction_id) do nothing
    returning id
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'attempt', payment_intent_id, 'attempt.recorded', decode(event, 'base64'),
        traceparent
    from held join attempt using (id)
)
select id from attempt
"""

SETTLE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, transaction_id text, payment_intent_id text,
        attempt_status text, came_from text[], response_code text, approval_code text,
        network_trace_id text,
        version integer, amount_minor integer, currency text, status text, answered_as text,
        failure_code text, failure_decline_code text, failure_message text,
        event_id text, event text, traceparent text)
), settled as (
    update attempts a set
        status = item.attempt_status, response_code = item.response_code,
        approval_code = item.approval_code, network_trace_id = item.network_trace_id,
        version = item.version
    from item
    where a.merchant_id = item.merchant_id and a.id = item.id
        and a.version = item.version - 1 and a.status = any(item.came_from)
    returning item.*
), moved as (
    update transactions t set
        amount_minor = settled.amount_minor, currency = settled.currency,
        status = settled.status, answered_as = settled.answered_as,
        failure_code = settled.failure_code,
        failure_decline_code = settled.failure_decline_code,
        failure_message = settled.failure_message
    from settled
    where t.merchant_id = settled.merchant_id and t.id = settled.transaction_id
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'attempt', payment_intent_id, 'attempt.' || attempt_status,
        decode(event, 'base64'), traceparent
    from settled
)
select id from settled
"""


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


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction and its attempt as they are to be written, and the span that wants it."""

    transaction: Transaction
    attempt: Attempt
    traceparent: str | None = field(default_factory=spans.traceparent)


Owned = tuple[MerchantId, TransactionId]
Key = tuple[str, str, str]


class TxnStore:
    """The only owner of the transaction tables."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.beginnings: Coalescer[Beginning, Known | None] = Coalescer("txn.begin", self._begin)
        self.by_key: Coalescer[Key, Known | None] = Coalescer("txn.by_key", self._by_key)
        self.records: Coalescer[Step, None] = Coalescer("txn.record", self._record)
        self.settlements: Coalescer[Step, bool] = Coalescer("txn.settle", self._settle)
        self.abandonments: Coalescer[Owned, None] = Coalescer("txn.abandon", self._abandon)
        self.reads: Coalescer[Owned, Transaction] = Coalescer("txn.read", self._read)

    async def close(self) -> None:
        """Finish what was begun."""
        for coalescer in (self.beginnings, self.records, self.settlements, self.abandonments):
            await coalescer.close()

    async def page(
        self, caller: Caller, intent_id: PaymentIntentId, page: Page
    ) -> tuple[list[Transaction], bool]:
        """Return a page of transactions, newest first, and whether there are more that way."""
        table = transactions.c
        query = (
            sa.select(
                transactions,
                attempts.c.amount_minor.label("attempt_amount_minor"),
                attempts.c.currency.label("attempt_currency"),
            )
            .join(
                attempts,
                sa.and_(
                    attempts.c.merchant_id == table.merchant_id,
                    attempts.c.transaction_id == table.id,
                ),
            )
            .where(
                table.merchant_id == caller.merchant_id,
                table.payment_intent_id == intent_id,
                table.mode == caller.mode,
            )
        )
        rows, has_more = page.cut(await self._database.select(page.of(query, table.id)))
        return [_transaction(row) for row in rows], has_more

    async def _begin(self, items: Sequence[Beginning]) -> list[Known | DomainError | None]:
        """Insert what is new; return None for it, and for a used key what it was used for."""
        first_by_key: dict[Key, Beginning] = {}
        for item in items:
            first_by_key.setdefault(_key(item), item)
        new = [_new_row(first_by_key[key]) for key in sorted(first_by_key)]
        rows = await self._database.run_batch(BEGIN, new)
        fresh = {row["id"] for row in rows}
        used = [item for item in items if item.transaction.id not in fresh]
        found = await self._known([_key(item) for item in used]) if used else {}
        return [  # a used key that is not found was given up meanwhile: nothing was inserted
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
                _transaction(row), row["request_hash"], _attempt(row)
            )
            for row in rows
        }

    async def _record(self, items: Sequence[Step]) -> list[DomainError | None]:
        """Write down what will be sent; one caller at most gets leave to send."""
        ordered = sorted(items, key=lambda item: item.transaction.id)
        rows = await self._database.run_batch(RECORD, [self._record_row(item) for item in ordered])
        recorded = {row["id"] for row in rows}
        return [None if item.attempt.id in recorded else IdempotencyKeyInUse() for item in items]

    def _record_row(self, item: Step) -> dict[str, object]:
        attempt = item.attempt
        return {
            "merchant_id": attempt.merchant_id,
            "id": attempt.id,
            "transaction_id": attempt.transaction_id,
            "payment_intent_id": attempt.payment_intent_id,
            "network": attempt.network,
            "amount_minor": attempt.amount_minor,
            "currency": attempt.currency,
            "stan": attempt.stan,
            "rrn": attempt.rrn,
            "transmitted_at": attempt.transmitted_at,
            "deadline": attempt.deadline,
            "created": attempt.created,
            **self._event(item),
        }

    async def _settle(self, items: Sequence[Step]) -> list[bool]:
        """Write outcomes; False for an attempt that has another outcome already."""
        ordered = sorted(items, key=lambda item: item.attempt.id)
        rows = await self._database.run_batch(SETTLE, [self._settle_row(item) for item in ordered])
        settled = {row["id"] for row in rows}
        return [item.attempt.id in settled for item in items]

    def _settle_row(self, item: Step) -> dict[str, object]:
        attempt, transaction = item.attempt, item.transaction
        failure = transaction.failure or Failure("", "")
        return {
            "merchant_id": attempt.merchant_id,
            "id": attempt.id,
            "transaction_id": attempt.transaction_id,
            "payment_intent_id": attempt.payment_intent_id,
            "attempt_status": attempt.status,
            "came_from": CAME_FROM[attempt.status],
            "response_code": attempt.response_code,
            "approval_code": attempt.approval_code,
            "network_trace_id": attempt.network_trace_id,
            "version": attempt.version,
            "amount_minor": transaction.amount_minor,
            "currency": transaction.currency,
            "status": transaction.status,
            "answered_as": transaction.answered_as,
            "failure_code": failure.code or None,
            "failure_decline_code": failure.decline_code,
            "failure_message": failure.message or None,
            **self._event(item),
        }

    def _event(self, item: Step) -> dict[str, object]:
        event_id = new_id("evt", item.attempt.merchant_id)
        created = int(self._clock.now().timestamp())
        event = attempt_event(item.transaction, item.attempt, event_id, created)
        return {
            "event_id": event_id,
            "event": event.SerializeToString(),
            "traceparent": item.traceparent,
        }

    async def _abandon(self, items: Sequence[Owned]) -> list[None]:
        try:
            await self._database.run_batch(ABANDON, [_owned_row(item) for item in sorted(items)])
        except ForeignKeyViolation:
            # Another process has recorded an attempt meanwhile; alone, this one simply stays.
            if len(items) > 1:
                raise
        return [None] * len(items)

    async def _read(self, items: Sequence[Owned]) -> list[Transaction | DomainError]:
        rows = await self._database.run_batch(READ, [_owned_row(item) for item in set(items)])
        found = {(row["merchant_id"], row["id"]): _transaction(row) for row in rows}
        return [
            found.get(item) or ResourceMissing("No such transaction.", param="transactionId")
            for item in items
        ]


def _key(item: Beginning) -> Key:
    return item.transaction.merchant_id, item.transaction.mode, item.key


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
        "created": transaction.created,
    }


def _transaction(row: Any) -> Transaction:
    failure = None
    if row["failure_code"] is not None:
        failure = Failure(row["failure_code"], row["failure_message"], row["failure_decline_code"])
    answered_as = row["answered_as"]
    return Transaction(
        id=row["id"],
        merchant_id=row["merchant_id"],
        mode=row["mode"],
        payment_intent_id=row["payment_intent_id"],
        card=KeptCard(
            row["card_brand"], row["card_last4"], row["card_exp_month"], row["card_exp_year"]
        ),
        created=int(row["created"].timestamp()),
        status=TransactionStatus(row["status"]),
        amount_minor=row["amount_minor"] or row["attempt_amount_minor"],
        currency=row["currency"] or row["attempt_currency"],
        failure=failure,
        answered_as=TransactionStatus(answered_as) if answered_as is not None else None,
    )


def _attempt(row: Any) -> Attempt | None:
    if row["attempt_id"] is None:
        return None
    return Attempt(
        id=row["attempt_id"],
        merchant_id=row["merchant_id"],
        transaction_id=row["id"],
        payment_intent_id=row["payment_intent_id"],
        network=row["network"],
        amount_minor=row["attempt_amount_minor"],
        currency=row["attempt_currency"],
        stan=row["stan"],
        rrn=row["rrn"],
        transmitted_at=row["transmitted_at"],
        deadline=int(row["deadline"].timestamp()),
        created=int(row["attempt_created"].timestamp()),
        status=AttemptStatus(row["attempt_status"]),
        version=row["version"],
    )
