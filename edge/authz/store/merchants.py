"""Merchants in PostgreSQL."""

from __future__ import annotations

import json
from dataclasses import asdict

from chassis.database import Database
from chassis.errors import ResourceMissing
from chassis.sealing import Sealer
from edge.authz.domain.merchant import BankAccount, Merchant

INSERT_MERCHANT = """
insert into merchants (id, name, country, mcc, bank_account, created)
values (%(id)s, %(name)s, %(country)s, %(mcc)s, %(bank_account)s, %(created)s)
"""

READ_MERCHANT = """
select id, name, country, mcc, bank_account, created from merchants where id = %(id)s
"""


class MerchantStore:
    """Merchants; their bank accounts are sealed."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def insert(self, merchant: Merchant) -> None:
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
