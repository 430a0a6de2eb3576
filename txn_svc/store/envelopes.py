"""Card numbers in envelopes in PostgreSQL: for messages that follow, until none can follow.

A charge's own statements write and delete them: RECORD and MOVE of `statements.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.ids import Kid
from chassis.keystore.store import Sealed
from txn_svc.cards.envelope import Envelope, Owner
from txn_svc.domain.card_need import LATE_APPROVAL_S

READ_ENVELOPE = """
select e.merchant_id, e.transaction_id, e.kid, e.wrapped_key, e.sealed
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, transaction_id text)
join card_envelopes e using (merchant_id, transaction_id)
"""

# What `is_card_over` says, and the end of the wait for a late approval. The lock comes with another
# look at the attempt, so nothing is shredded that is being reversed meanwhile.
SWEEP = """
with page as (
    select e.merchant_id, e.transaction_id, e.created from card_envelopes e
    where (e.merchant_id, e.transaction_id) > (%(merchant_id)s, %(transaction_id)s)
    order by e.merchant_id, e.transaction_id
    limit %(limit)s
), over as (
    select page.merchant_id, page.transaction_id, a.had_no_word
    from page cross join lateral (
        select a.status = 'failed' and a.reversal is null and a.response_code is null as had_no_word
        from attempts a
        join transactions t on t.merchant_id = a.merchant_id and t.id = a.transaction_id
        where a.merchant_id = page.merchant_id and a.transaction_id = page.transaction_id
            and a.capture_number = 0 and (a.reversal = 'acknowledged' or a.reversal is null and (
                a.status = 'failed' and a.response_code is not null
                or a.status = 'failed' and a.deadline < %(late_before)s
                or a.status = 'succeeded' and (
                    a.capture_before is null or t.amount_captured_minor > 0)))
        for share of a skip locked
    ) a
), shredded as (
    delete from card_envelopes e using over
    where e.merchant_id = over.merchant_id and e.transaction_id = over.transaction_id
    returning e.merchant_id, e.transaction_id, over.had_no_word
)
select page.merchant_id, page.transaction_id, page.created,
    shredded.transaction_id is not null as is_shredded, coalesce(had_no_word, false) as had_no_word
from page left join shredded using (merchant_id, transaction_id)
order by page.merchant_id, page.transaction_id
"""

COUNT_BY_KEY = """
select kid, sum(number)::bigint as number from (
    select kid, count(*) as number from card_envelopes group by kid
    union all
    select kid, count(*) from card_tokens group by kid
) counted group by kid
"""

CLAIM_TO_REWRAP = """
select e.merchant_id, e.transaction_id, e.kid, e.wrapped_key, e.sealed from card_envelopes e
where e.kid = :kid and (e.merchant_id, e.transaction_id) > (:merchant_id, :transaction_id)
order by e.merchant_id, e.transaction_id
limit :limit
for update skip locked
"""

REWRAP = """
update card_envelopes set kid = :kid, wrapped_key = :wrapped_key, sealed = :sealed
where merchant_id = :merchant_id and transaction_id = :transaction_id
"""

Renew = Callable[[Sequence[Envelope]], Awaitable[Sequence[Envelope | None]]]


@dataclass(frozen=True, slots=True)
class Seen:
    """An envelope as the sweep saw it.

    is_shredded: the sweep has deleted it. was_expected: that is its duty, since the network had
    never said a word; any other should have gone with the last change of its attempt.
    """

    owner: Owner
    created: datetime
    is_shredded: bool
    was_expected: bool


class EnvelopeStore:
    """Reads envelopes, renews them, and deletes what no message can need any more."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.reads: Coalescer[Owner, Envelope | None] = Coalescer("txn.read_envelope", self._read)

    async def sweep(self, after: Owner | None, limit: int) -> list[Seen]:
        """Return the envelopes that follow an owner's, so many at most, and shred what is over.

        They are in order; after None it begins anew.
        """
        late_before = self._clock.now() - timedelta(seconds=LATE_APPROVAL_S)
        rows = await self._database.fetch(
            SWEEP, **_after(after), limit=limit, late_before=late_before
        )
        return [
            Seen(_owner(row), row["created"], row["is_shredded"], row["had_no_word"])
            for row in rows
        ]

    async def rewrap(self, kid: Kid, after: Owner | None, limit: int, renew: Renew) -> list[Owner]:
        """Renew envelopes of a key that follow an owner, so many at most; return whose they were.

        Those that another process is at, or that renew returns None for, stay as they are. They are
        locked meanwhile, so a charge that ends waits for it.
        """
        async with self._database.transaction() as tx:
            claimed = await tx.execute(
                sa.text(CLAIM_TO_REWRAP), {"kid": kid, **_after(after), "limit": limit}
            )
            found = [_envelope(row) for row in claimed.mappings()]
            renewed = [each for each in await renew(found) if each is not None] if found else []
            if renewed:
                await tx.execute(sa.text(REWRAP), [_rewrapped_row(each) for each in renewed])
        return [envelope.owner for envelope in found]

    async def count_by_key(self) -> dict[Kid, int]:
        """Return how many envelopes and card tokens each key has to read."""
        return {row["kid"]: row["number"] for row in await self._database.fetch(COUNT_BY_KEY)}

    async def _read(self, items: Sequence[Owner]) -> list[Envelope | None]:
        rows = await self._database.run_batch(
            READ_ENVELOPE,
            [
                {"merchant_id": item.merchant_id, "transaction_id": item.transaction_id}
                for item in set(items)
            ],
        )
        found = {envelope.owner: envelope for envelope in map(_envelope, rows)}
        return [found.get(item) for item in items]


def _after(owner: Owner | None) -> dict[str, str]:
    if owner is None:
        return {"merchant_id": "", "transaction_id": ""}
    return {"merchant_id": owner.merchant_id, "transaction_id": owner.transaction_id}


def _owner(row: Any) -> Owner:
    return Owner(row["merchant_id"], row["transaction_id"])


def _envelope(row: Any) -> Envelope:
    return Envelope(_owner(row), Sealed(row["kid"], row["wrapped_key"]), row["sealed"])


def _rewrapped_row(envelope: Envelope) -> dict[str, object]:
    return {
        "merchant_id": envelope.owner.merchant_id,
        "transaction_id": envelope.owner.transaction_id,
        "kid": envelope.wrapped.kid,
        "wrapped_key": envelope.wrapped.data,
        "sealed": envelope.sealed,
    }
