"""The use cases of payment domains, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import ResourceMissing
from chassis.ids import MerchantId
from edge.authz.domain.payment_domain import (
    DOMAINS_MAX,
    DomainLimitReached,
    PaymentDomain,
    check_domain,
    frame_ancestors,
)

ADD = """
with known as (
    select count(*) as number from payment_domains
    where merchant_id = %(merchant_id)s and name <> %(name)s
)
insert into payment_domains (merchant_id, name, created)
select m.id, %(name)s, %(created)s from merchants m, known
where m.id = %(merchant_id)s and known.number < %(domains_max)s
on conflict (merchant_id, name) do update set name = excluded.name
returning created
"""

LIST = """
select name, created from payment_domains where merchant_id = %(merchant_id)s order by name
"""

REMOVE = """
delete from payment_domains where merchant_id = %(merchant_id)s and name = %(name)s returning name
"""

EXISTS = "select id from merchants where id = %(merchant_id)s"


class DomainHandlers:
    """The use cases of payment domains, and the only owner of their table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, merchant_id: MerchantId, name: str) -> PaymentDomain:
        """Let a domain's pages show the card frame; again changes nothing.

        Raises ParameterInvalid, DomainLimitReached, ResourceMissing.
        """
        domain = check_domain(name)
        await self._check_merchant(merchant_id)
        for row in await self._database.fetch(
            ADD,
            merchant_id=merchant_id,
            name=domain,
            created=self._clock.now(),
            domains_max=DOMAINS_MAX,
        ):
            return PaymentDomain(domain, row["created"])
        raise DomainLimitReached

    async def all_of(self, merchant_id: MerchantId) -> list[PaymentDomain]:
        """Return a merchant's domains by name. Raises ResourceMissing."""
        await self._check_merchant(merchant_id)
        return [PaymentDomain(row["name"], row["created"]) for row in await self._rows(merchant_id)]

    async def remove(self, merchant_id: MerchantId, name: str) -> None:
        """End it. Raises ResourceMissing."""
        found = await self._database.fetch(REMOVE, merchant_id=merchant_id, name=name.lower())
        if not found:
            raise ResourceMissing("No such domain.", param="domain")

    async def frame_ancestors(self, merchant_id: MerchantId, mode: str) -> str:
        """Return which pages may frame the card fields of this merchant."""
        return frame_ancestors([row["name"] for row in await self._rows(merchant_id)], mode)

    async def _rows(self, merchant_id: MerchantId) -> Sequence[Any]:
        return await self._database.fetch(LIST, merchant_id=merchant_id)

    async def _check_merchant(self, merchant_id: MerchantId) -> None:
        if not await self._database.fetch(EXISTS, merchant_id=merchant_id):
            raise ResourceMissing("No such merchant.", param="merchantId")
