"""What the platform team can do with merchants and API keys, one function per use case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.clock import Clock
from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.fields import check_overlap
from chassis.ids import KeyId, MerchantId, new_id, new_merchant_id
from chassis.paging import LIMIT_MAX
from edge.authz.domain import merchant as rules
from edge.authz.domain.key import (
    ApiKey,
    KeyChange,
    Mode,
    Network,
    Rights,
    check_networks,
    check_rights,
    new_keys,
)
from edge.authz.domain.merchant import BankAccount, Merchant
from edge.authz.store.keys import ApiKeyStore
from edge.authz.store.merchants import MerchantStore


@dataclass(frozen=True, slots=True)
class NewKey:
    """A pair of keys with its secret half, which is shown this once."""

    api_key: ApiKey
    secret_key: str

    def __repr__(self) -> str:
        return f"NewKey({self.api_key.id})"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key shall be limited to, as it was asked for; None leaves what is there.

    permissions: pairs of resource and access.
    """

    permissions: Sequence[tuple[str, str]] | None = None
    cidrs: Sequence[str] | None = None

    def rights(self) -> Rights | None:
        """Return the rights. Raises ParameterMissing, ParameterInvalid."""
        return None if self.permissions is None else check_rights(self.permissions)

    def networks(self) -> Sequence[Network] | None:
        """Return the networks. Raises ParameterMissing, ParameterInvalid."""
        return None if self.cidrs is None else check_networks(self.cidrs)


class MerchantHandlers:
    """The use cases of merchants."""

    def __init__(self, merchants: MerchantStore, keys: ApiKeyStore, clock: Clock) -> None:
        self._merchants = merchants
        self._keys = keys
        self._clock = clock

    async def create_merchant(
        self, name: str, country: str, mcc: str, account: BankAccount | None
    ) -> Merchant:
        """Take a merchant on."""
        merchant = Merchant(
            new_merchant_id(),
            rules.check_name(name, "name"),
            rules.check_country(country, "country"),
            rules.check_mcc(mcc),
            self._clock.now(),
            rules.check_bank_account(account) if account is not None else None,
        )
        await self._merchants.insert(merchant)
        return merchant

    async def get_merchant(self, merchant_id: str) -> Merchant:
        """Return a merchant."""
        return await self._merchants.merchant(merchant_id)

    async def create_key(
        self, merchant_id: str, mode: Mode, limits: Limits, requested_by: str
    ) -> NewKey:
        """Make a pair of keys."""
        rules.check_name(requested_by, "requestedBy")
        made = self._new_key(merchant_id, mode, limits)
        await self._keys.insert_key(made.api_key, made.secret_key, requested_by)
        return made

    async def list_keys(self, merchant_id: str) -> list[ApiKey]:
        """Return a merchant's keys, newest first."""
        await self._merchants.merchant(merchant_id)
        return await self._keys.list_keys(merchant_id)

    async def roll_key(self, key_id: str, overlap_s: int | None, requested_by: str) -> NewKey:
        """Replace a pair of keys; the old one works until the overlap is over."""
        overlap = check_overlap(overlap_s)
        rules.check_name(requested_by, "requestedBy")
        old = await self._keys.key(key_id)
        made = self._new_key(old.merchant_id, old.mode, Limits())
        ends = made.api_key.created + overlap
        api_key = await self._keys.roll_key(old, made.api_key, made.secret_key, ends, requested_by)
        return NewKey(api_key, made.secret_key)

    async def revoke_key(self, key_id: str, requested_by: str) -> ApiKey:
        """End a pair of keys now."""
        rules.check_name(requested_by, "requestedBy")
        return await self._keys.revoke_key(key_id, self._clock.now(), requested_by)

    async def restrict_key(self, key_id: str, limits: Limits, requested_by: str) -> ApiKey:
        """Set what a pair of keys may do, and from where."""
        rights, networks = limits.rights(), limits.networks()
        if rights is None and networks is None:
            raise ParameterMissing("rights")
        rules.check_name(requested_by, "requestedBy")
        now = self._clock.now()
        return await self._keys.restrict_key(key_id, rights, networks, now, requested_by)

    async def list_changes(
        self, merchant_id: str, before: int | None, limit: int
    ) -> tuple[list[KeyChange], bool]:
        """Return what was done to a merchant's keys, newest first, and whether there is more."""
        if not 1 <= limit <= LIMIT_MAX:
            raise ParameterInvalid(f"limit must be 1 to {LIMIT_MAX}.", param="limit")
        await self._merchants.merchant(merchant_id)
        found = await self._keys.list_changes(merchant_id, before, limit + 1)
        return found[:limit], len(found) > limit

    def _new_key(self, merchant_id: str, mode: Mode, limits: Limits) -> NewKey:
        publishable_key, secret_key = new_keys(mode)
        api_key = ApiKey(
            KeyId(new_id("key", merchant_id)),
            MerchantId(merchant_id),
            mode,
            publishable_key,
            secret_key[-4:],
            self._clock.now(),
            rights=limits.rights(),
            networks=limits.networks(),
        )
        return NewKey(api_key, secret_key)
