"""What the check of each request reads and writes in PostgreSQL, for many requests at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DomainError
from chassis.ids import KeyId
from chassis.sealing import Sealer
from edge.authz.domain.key import ApiKey
from edge.authz.domain.signature import NonceReused
from edge.authz.store.rows import api_key_of

NONCE_RETENTION = timedelta(minutes=11)  # both sides of the window, and a little

USE_NONCES = """
insert into nonces (key_id, nonce)
select key_id, nonce
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(key_id text, nonce uuid)
on conflict do nothing
returning key_id, nonce
"""

READ_KEYS = """
select k.* from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(publishable_key text)
join api_keys k using (publishable_key)
"""

PRUNE_NONCES = "delete from nonces where seen < %(before)s"

# What another process writes at the same moment is as good, so nobody waits for it.
WRITE_LAST_USES = """
with used as (
    select k.id, item.at
    from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(id text, at timestamptz)
    join api_keys k using (id)
    where k.last_used is null or k.last_used < item.at
    for update of k skip locked
)
update api_keys k set last_used = used.at from used where k.id = used.id
"""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A pair of keys with its secret half, as it is known in memory only."""

    api_key: ApiKey
    secret: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.api_key.id})"


Nonce = tuple[KeyId, UUID]


class CheckStore:
    """Nonces and secret keys, and when keys were used."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self.nonces: Coalescer[Nonce, None] = Coalescer("edge.nonce", self._use_nonces)
        self.keys: Coalescer[str, SecretKey | None] = Coalescer("edge.key", self._read_keys)

    async def close(self) -> None:
        """Finish what was begun."""
        for coalescer in (self.nonces, self.keys):
            await coalescer.close()

    async def prune_nonces(self) -> None:
        """Forget nonces whose timestamp is out of range by now."""
        await self._database.fetch(PRUNE_NONCES, before=self._clock.now() - NONCE_RETENTION)

    async def write_last_uses(self, last_uses: Mapping[KeyId, datetime]) -> None:
        """Write when keys were last used, where it is later than what stands there."""
        await self._database.run_batch(
            WRITE_LAST_USES, [{"id": key_id, "at": at} for key_id, at in last_uses.items()]
        )

    async def _use_nonces(self, items: Sequence[Nonce]) -> list[DomainError | None]:
        rows = await self._database.run_batch(
            USE_NONCES,
            [{"key_id": key_id, "nonce": str(nonce)} for key_id, nonce in set(items)],
        )
        fresh = {(row["key_id"], row["nonce"]) for row in rows}
        verdicts: list[DomainError | None] = []
        for item in items:
            verdicts.append(None if item in fresh else NonceReused())
            fresh.discard(item)
        return verdicts

    async def _read_keys(self, items: Sequence[str]) -> list[SecretKey | None]:
        rows = await self._database.run_batch(
            READ_KEYS, [{"publishable_key": item} for item in set(items)]
        )
        found = {
            row["publishable_key"]: SecretKey(
                api_key_of(row), self._sealer.open(row["secret"], row["id"])
            )
            for row in rows
        }
        return [found.get(item) for item in items]
