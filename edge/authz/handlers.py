"""What the platform team can do with merchants and API keys, one function per use case."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.clock import Clock
from chassis.fields import check_overlap
from chassis.ids import KeyId, MerchantId, new_id, new_merchant_id
from edge.authz import domain
from edge.authz.domain import ApiKey, BankAccount, Merchant, Mode
from edge.authz.store import AuthzStore


@dataclass(frozen=True, slots=True)
class NewKey:
    """A pair of keys with its secret half, which is shown this once."""

    api_key: ApiKey
    secret_key: str

    def __repr__(self) -> str:
        return f"NewKey({self.api_key.id})"


class MerchantHandlers:
    """The use cases of merchants."""

    def __init__(self, store: AuthzStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create_merchant(
        self, name: str, country: str, mcc: str, account: BankAccount | None
    ) -> Merchant:
        """Take a merchant on."""
        merchant = Merchant(
            new_merchant_id(),
            domain.check_name(name, "name"),
            domain.check_country(country, "country"),
            domain.check_mcc(mcc),
            self._clock.now(),
            domain.check_bank_account(account) if account is not None else None,
        )
        await self._store.insert_merchant(merchant)
        return merchant

    async def get_merchant(self, merchant_id: str) -> Merchant:
        """Return a merchant."""
        return await self._store.merchant(merchant_id)

    async def create_key(self, merchant_id: str, mode: Mode) -> NewKey:
        """Make a pair of keys."""
        publishable_key, secret_key = domain.new_keys(mode)
        api_key = ApiKey(
            KeyId(new_id("key", merchant_id)),
            MerchantId(merchant_id),
            mode,
            publishable_key,
            secret_key[-4:],
            self._clock.now(),
        )
        await self._store.insert_key(api_key, secret_key)
        return NewKey(api_key, secret_key)

    async def list_keys(self, merchant_id: str) -> list[ApiKey]:
        """Return a merchant's keys, newest first."""
        await self._store.merchant(merchant_id)
        return await self._store.list_keys(merchant_id)

    async def roll_key(self, key_id: str, overlap_s: int | None) -> NewKey:
        """Replace a pair of keys; the old one works until the overlap is over."""
        overlap = check_overlap(overlap_s)
        old = await self._store.end_key(key_id, self._clock.now() + overlap)
        return await self.create_key(old.merchant_id, old.mode)

    async def revoke_key(self, key_id: str) -> ApiKey:
        """End a pair of keys now."""
        return await self._store.end_key(key_id, self._clock.now())
