"""Card tokens in PostgreSQL: rows that are in no WAL, no replica, no backup and no publication."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from chassis.batching import Coalescer
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DomainError
from chassis.identity import Caller
from chassis.ids import CardTokenId, MerchantId
from chassis.keystore.store import Sealed
from txn_svc.cards.encrypted_card import EncryptedCardReused
from txn_svc.cards.token import NewToken, SealedCard
from txn_svc.domain.card_token import CardToken
from txn_svc.domain.transaction import KeptCard
from txn_svc.store.statements import (
    FORGET_NONCES,
    INSERT_CARD_TOKEN,
    PURGE_CARD_TOKENS,
    READ_CARD_TOKEN,
    READ_TOKEN_USE,
)

NONCE_MARGIN = timedelta(minutes=1)  # for processes whose clocks differ

Owned = tuple[MerchantId, CardTokenId]


class CardTokenStore:
    """Writes and reads tokens; ChargeStore uses them up."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.creations: Coalescer[NewToken, None] = Coalescer("txn.token", self._create)
        self.reads: Coalescer[Owned, SealedCard | None] = Coalescer("txn.read_token", self._read)

    async def close(self) -> None:
        """Finish what was begun."""
        await self.creations.close()

    async def is_used(self, caller: Caller, token_id: str) -> bool:
        """Return whether one of the caller's transactions was begun with the token."""
        use = {"merchant_id": caller.merchant_id, "mode": caller.mode, "card_token": token_id}
        return bool(await self._database.run_batch(READ_TOKEN_USE, [use]))

    async def purge(self) -> None:
        """Delete tokens whose time is over, and nonces of cards that are too old by now."""
        now = self._clock.now()
        await self._database.fetch(PURGE_CARD_TOKENS, now=now)
        await self._database.fetch(FORGET_NONCES, now=now)

    async def _create(self, items: Sequence[NewToken]) -> list[DomainError | None]:
        """Insert tokens; of those with one nonce the first."""
        first: dict[str, NewToken] = {}
        for item in items:
            first.setdefault(item.nonce, item)
        rows = await self._database.run_batch(
            INSERT_CARD_TOKEN, [_new_row(first[nonce]) for nonce in sorted(first)]
        )
        stored = {row["id"] for row in rows}
        return [None if item.card.token.id in stored else EncryptedCardReused() for item in items]

    async def _read(self, items: Sequence[Owned]) -> list[SealedCard | None]:
        rows = await self._database.run_batch(
            READ_CARD_TOKEN, [{"merchant_id": owner, "id": name} for owner, name in set(items)]
        )
        found = {(row["merchant_id"], row["id"]): _sealed_card(row) for row in rows}
        return [found.get(item) for item in items]


def _new_row(item: NewToken) -> dict[str, object]:
    token, sealed = item.card.token, item.card.sealed
    return {
        "merchant_id": token.merchant_id,
        "id": token.id,
        "mode": token.mode,
        "payment_intent_id": token.payment_intent_id,
        "kid": sealed.kid,
        "sealed": sealed.data,
        "card_brand": token.card.brand,
        "card_last4": token.card.last4,
        "card_exp_month": token.card.exp_month,
        "card_exp_year": token.card.exp_year,
        "created": token.created,
        "expires": token.expires,
        "nonce": item.nonce,
        "nonce_until": (item.nonce_until + NONCE_MARGIN).timestamp(),
    }


def _sealed_card(row: Any) -> SealedCard:
    card = KeptCard(
        row["card_brand"], row["card_last4"], row["card_exp_month"], row["card_exp_year"]
    )
    token = CardToken(
        id=row["id"],
        merchant_id=row["merchant_id"],
        mode=row["mode"],
        payment_intent_id=row["payment_intent_id"],
        card=card,
        created=int(row["created"].timestamp()),
    )
    return SealedCard(token, Sealed(row["kid"], row["sealed"]))
