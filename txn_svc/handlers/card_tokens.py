"""Card tokens: made of cards that browsers encrypted, and opened for the charge that uses one."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.clock import Clock
from chassis.errors import ParameterMissing
from chassis.identity import Caller
from chassis.ids import CardTokenId, MerchantId, PaymentIntentId, TransactionId, is_id
from chassis.keystore.store import PublicKey
from txn_svc.cards.card_keys import CardKeys
from txn_svc.cards.envelope import Keeping, Kept, Owner
from txn_svc.cards.token import Sealing
from txn_svc.clients import IntentClient
from txn_svc.domain.card import Card
from txn_svc.domain.card_token import CardToken, CardTokenUsed, check_usable, missing
from txn_svc.store.card_tokens import CardTokenStore


@dataclass(frozen=True, slots=True)
class CardTokenWish:
    """What a browser asks for, as it came."""

    payment_intent_id: str
    client_secret: str
    encrypted_card: str

    def __repr__(self) -> str:
        return f"CardTokenWish({self.payment_intent_id})"


class CardTokenHandlers:
    """The use cases of card tokens."""

    def __init__(
        self, store: CardTokenStore, keys: CardKeys, intents: IntentClient, clock: Clock
    ) -> None:
        self._store = store
        self._keys = keys
        self._intents = intents
        self._clock = clock

    async def public_keys(self) -> list[PublicKey]:
        """Return what cards are to be encrypted to."""
        return await self._keys.public_keys()

    async def create(self, caller: Caller, wish: CardTokenWish) -> CardToken:
        """Make a token of an encrypted card.

        The secret is checked first: nobody without one has us decrypt anything.
        """
        for param, value in (
            ("paymentIntentId", wish.payment_intent_id),
            ("clientSecret", wish.client_secret),
            ("encryptedCard", wish.encrypted_card),
        ):
            if not value:
                raise ParameterMissing(param)
        await self._intents.check_client_secret(caller, wish.payment_intent_id, wish.client_secret)
        intent_id = PaymentIntentId(wish.payment_intent_id)
        new = await self._keys.sealings.submit(Sealing(caller, intent_id, wish.encrypted_card))
        await self._store.creations.submit(new)
        return new.card.token

    async def open(self, caller: Caller, token_id: str, intent_id: str) -> Card:
        """Return the card of a token that may pay this intent; it is not used up by that.

        Raises a CardTokenRefused, KeyStoreUnavailable.
        """
        found = None
        if is_id("tok", token_id):
            found = await self._store.reads.submit((caller.merchant_id, CardTokenId(token_id)))
        if found is None:
            if await self._store.is_used(caller, token_id):
                raise CardTokenUsed
            raise missing(token_id, self._now())
        check_usable(found.token, caller.mode, intent_id, self._now())
        return await self._keys.openings.submit(found)

    async def keep(
        self, card: Card, merchant_id: MerchantId, transaction_id: TransactionId
    ) -> Kept:
        """Return what is kept of a card that is charged. Raises KeyStoreUnavailable."""
        return await self._keys.keepings.submit(Keeping(card, Owner(merchant_id, transaction_id)))

    async def check_unused(self, caller: Caller, token_id: str) -> None:
        """Raise CardTokenUsed if a transaction was begun with the token."""
        if await self._store.is_used(caller, token_id):
            raise CardTokenUsed

    async def purge(self) -> None:
        """Delete what is over."""
        await self._store.purge()

    def _now(self) -> float:
        return self._clock.now().timestamp()
