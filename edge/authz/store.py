"""Merchants, API keys and nonces in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DomainError, ResourceMissing
from chassis.ids import KeyId, MerchantId
from chassis.sealing import Sealer
from edge.authz.domain import ApiKey, BankAccount, Merchant, NonceReused

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

INSERT_MERCHANT = """
insert into merchants (id, name, country, mcc, bank_account, created)
values (%(id)s, %(name)s, %(country)s, %(mcc)s, %(bank_account)s, %(created)s)
"""

READ_MERCHANT = """
select id, name, country, mcc, bank_account, created from merchants where id = %(id)s
"""

INSERT_KEY = """
insert into api_keys (id, merchant_id, mode, publishable_key, secret, secret_last4, created)
select %(id)s, m.id, %(mode)s, %(publishable_key)s, %(secret)s, %(secret_last4)s, %(created)s
from merchants m where m.id = %(merchant_id)s
returning id
"""

LIST_KEYS = """
select id, merchant_id, mode, publishable_key, secret, secret_last4, created, expires
from api_keys where merchant_id = %(merchant_id)s order by id desc
"""

END_KEY = """
update api_keys set expires = least(expires, %(at)s) where id = %(id)s
returning id, merchant_id, mode, publishable_key, secret, secret_last4, created, expires
"""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A pair of keys with its secret half, as it is known in memory only."""

    api_key: ApiKey
    secret: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.api_key.id})"


Nonce = tuple[KeyId, UUID]


class AuthzStore:
    """The only owner of the edge tables."""

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

    async def insert_merchant(self, merchant: Merchant) -> None:
        """Write a new merchant; the bank account is sealed."""
        sealed = None
        if merchant.bank_account is not None:
            plain = json.dumps(asdict(merchant.bank_account)).encode()
            sealed = self._sealer.seal(plain, merchant.id)
        await self._database.fetch(
            INSERT_MERCHANT,
            id=merchant.id,
            name=merchant.name,
            country=merchant.country,
            mcc=merchant.mcc,
            bank_account=sealed,
            created=merchant.created,
        )

    async def merchant(self, merchant_id: str) -> Merchant:
        """Return a merchant. Raises ResourceMissing."""
        for row in await self._database.fetch(READ_MERCHANT, id=merchant_id):
            account = None
            if row["bank_account"] is not None:
                plain = self._sealer.open(row["bank_account"], merchant_id)
                account = BankAccount(**json.loads(plain))
            return Merchant(
                row["id"], row["name"], row["country"], row["mcc"], row["created"], account
            )
        raise ResourceMissing("No such merchant.", param="merchantId")

    async def insert_key(self, api_key: ApiKey, secret: str) -> None:
        """Write a new pair of keys; the secret is sealed. Raises ResourceMissing."""
        inserted = await self._database.fetch(
            INSERT_KEY,
            id=api_key.id,
            merchant_id=api_key.merchant_id,
            mode=api_key.mode,
            publishable_key=api_key.publishable_key,
            secret=self._sealer.seal(secret.encode(), api_key.id),
            secret_last4=api_key.secret_last4,
            created=api_key.created,
        )
        if not inserted:
            raise ResourceMissing("No such merchant.", param="merchantId")

    async def list_keys(self, merchant_id: str) -> list[ApiKey]:
        """Return a merchant's keys, newest first."""
        return [
            _api_key(row) for row in await self._database.fetch(LIST_KEYS, merchant_id=merchant_id)
        ]

    async def end_key(self, key_id: str, at: datetime) -> ApiKey:
        """Let a pair of keys end then, if it does not end before. Raises ResourceMissing."""
        for row in await self._database.fetch(END_KEY, id=key_id, at=at):
            return _api_key(row)
        raise ResourceMissing("No such API key.", param="apiKeyId")

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
                _api_key(row), self._sealer.open(row["secret"], row["id"])
            )
            for row in rows
        }
        return [found.get(item) for item in items]


def _api_key(row: Any) -> ApiKey:
    return ApiKey(
        KeyId(row["id"]),
        MerchantId(row["merchant_id"]),
        row["mode"],
        row["publishable_key"],
        row["secret_last4"],
        row["created"],
        row["expires"],
    )
