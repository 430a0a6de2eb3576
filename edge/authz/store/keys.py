"""API keys with their changes in PostgreSQL, as the platform team works on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chassis.database import Database
from chassis.errors import ResourceMissing
from chassis.sealing import Sealer
from edge.authz.domain.key import ApiKey, ApiKeyNotInForce, KeyChange, Network, Rights
from edge.authz.store.rows import api_key_of, key_change_of, network_texts, rights_text

# Each change of a key is one statement with the row that tells who asked for it.
INSERT_KEY = """
with made as (
    insert into api_keys (
        id, merchant_id, mode, publishable_key, secret, secret_last4, created, rights, networks
    )
    select %(id)s, m.id, %(mode)s, %(publishable_key)s, %(secret)s, %(secret_last4)s, %(created)s,
        cast(%(rights)s as jsonb), cast(%(networks)s as cidr[])
    from merchants m where m.id = %(merchant_id)s
    returning id, merchant_id, created, rights, networks
)
insert into api_key_changes (
    merchant_id, api_key_id, action, requested_by, created, rights, networks
)
select merchant_id, id, 'created', %(requested_by)s, created, rights, networks from made
returning api_key_id
"""

LIST_KEYS = """
select id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked, last_used,
    rights, networks
from api_keys where merchant_id = %(merchant_id)s order by id desc
"""

READ_KEY = """
select id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked, last_used,
    rights, networks
from api_keys where id = %(id)s
"""

ROLL_KEY = """
with old as (
    update api_keys set expires = least(expires, %(at)s)
    where id = %(old_id)s and (expires is null or expires > %(created)s)
    returning id, merchant_id, mode, expires, rights, networks
), made as (
    insert into api_keys (
        id, merchant_id, mode, publishable_key, secret, secret_last4, created, rights, networks
    )
    select %(id)s, merchant_id, mode, %(publishable_key)s, %(secret)s, %(secret_last4)s,
        %(created)s, rights, networks
    from old
    returning id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked,
        last_used, rights, networks
), noted as (
    insert into api_key_changes (
        merchant_id, api_key_id, action, requested_by, created, expires, rights, networks,
        other_api_key_id
    )
    select merchant_id, id, 'rolled', %(requested_by)s, %(created)s, expires, rights, networks,
        %(id)s from old
    union all
    select merchant_id, id, 'created', %(requested_by)s, %(created)s, expires, rights, networks,
        %(old_id)s from made
)
select id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked, last_used,
    rights, networks
from made
"""

REVOKE_KEY = """
with ended as (
    update api_keys set revoked = %(at)s, expires = least(expires, %(at)s)
    where id = %(id)s and revoked is null
    returning id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked,
        last_used, rights, networks
), noted as (
    insert into api_key_changes (
        merchant_id, api_key_id, action, requested_by, created, expires, rights, networks
    )
    select merchant_id, id, 'revoked', %(requested_by)s, %(at)s, expires, rights, networks
    from ended
)
select id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked, last_used,
    rights, networks
from ended
"""

RESTRICT_KEY = """
with restricted as (
    update api_keys set rights = coalesce(cast(%(rights)s as jsonb), rights),
        networks = coalesce(cast(%(networks)s as cidr[]), networks)
    where id = %(id)s and (expires is null or expires > %(at)s)
    returning id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked,
        last_used, rights, networks
), noted as (
    insert into api_key_changes (
        merchant_id, api_key_id, action, requested_by, created, expires, rights, networks
    )
    select merchant_id, id, 'restricted', %(requested_by)s, %(at)s, expires, rights, networks
    from restricted
)
select id, merchant_id, mode, publishable_key, secret_last4, created, expires, revoked, last_used,
    rights, networks
from restricted
"""

LIST_CHANGES = """
select number, api_key_id, action, requested_by, created, expires, rights, networks,
    other_api_key_id
from api_key_changes
where merchant_id = %(merchant_id)s and (cast(%(before)s as bigint) is null or number < %(before)s)
order by number desc limit %(limit)s
"""


class ApiKeyStore:
    """Pairs of keys; their secret halves are sealed."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def insert_key(self, api_key: ApiKey, secret: str, requested_by: str) -> None:
        """Write a new pair of keys; the secret is sealed. Raises ResourceMissing."""
        inserted = await self._database.fetch(
            INSERT_KEY,
            **self._new_columns(api_key, secret),
            merchant_id=api_key.merchant_id,
            mode=api_key.mode,
            rights=rights_text(api_key.rights),
            networks=network_texts(api_key.networks),
            requested_by=requested_by,
        )
        if not inserted:
            raise ResourceMissing("No such merchant.", param="merchantId")

    async def list_keys(self, merchant_id: str) -> list[ApiKey]:
        """Return a merchant's keys, newest first."""
        return [
            api_key_of(row)
            for row in await self._database.fetch(LIST_KEYS, merchant_id=merchant_id)
        ]

    async def key(self, key_id: str) -> ApiKey:
        """Return a pair of keys. Raises ResourceMissing."""
        for row in await self._database.fetch(READ_KEY, id=key_id):
            return api_key_of(row)
        raise ResourceMissing("No such API key.", param="apiKeyId")

    async def roll_key(
        self, old: ApiKey, new: ApiKey, secret: str, at: datetime, requested_by: str
    ) -> ApiKey:
        """Write a new pair of keys in an old one's place and return it; the old one ends then.

        The new one gets the rights and networks that the old one has now. Raises ApiKeyNotInForce.
        """
        rows = await self._database.fetch(
            ROLL_KEY,
            **self._new_columns(new, secret),
            old_id=old.id,
            at=at,
            requested_by=requested_by,
        )
        for row in rows:
            return api_key_of(row)
        raise ApiKeyNotInForce

    async def revoke_key(self, key_id: str, at: datetime, requested_by: str) -> ApiKey:
        """End a pair of keys, if nobody has yet. Raises ResourceMissing."""
        rows = await self._database.fetch(REVOKE_KEY, id=key_id, at=at, requested_by=requested_by)
        for row in rows:
            return api_key_of(row)
        return await self.key(key_id)

    async def restrict_key(
        self,
        key_id: str,
        rights: Rights | None,
        networks: Sequence[Network] | None,
        at: datetime,
        requested_by: str,
    ) -> ApiKey:
        """Set what is not None. Raises ResourceMissing, ApiKeyNotInForce."""
        rows = await self._database.fetch(
            RESTRICT_KEY,
            id=key_id,
            rights=rights_text(rights),
            networks=network_texts(networks),
            at=at,
            requested_by=requested_by,
        )
        for row in rows:
            return api_key_of(row)
        await self.key(key_id)
        raise ApiKeyNotInForce

    async def list_changes(
        self, merchant_id: str, before: int | None, limit: int
    ) -> list[KeyChange]:
        """Return changes of a merchant's keys, newest first, only those before a number."""
        rows = await self._database.fetch(
            LIST_CHANGES, merchant_id=merchant_id, before=before, limit=limit
        )
        return [key_change_of(row) for row in rows]

    def _new_columns(self, api_key: ApiKey, secret: str) -> dict[str, object]:
        return {
            "id": api_key.id,
            "publishable_key": api_key.publishable_key,
            "secret": self._sealer.seal(secret.encode(), api_key.id),
            "secret_last4": api_key.secret_last4,
            "created": api_key.created,
        }
