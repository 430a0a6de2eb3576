"""The card inside a card token: sealed, and opened only for the token that it was sealed for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chassis.identity import Caller
from chassis.ids import CardTokenId, PaymentIntentId, new_id
from chassis.keystore.store import KeyStore, Sealed
from txn_svc.cards.encrypted_card import decrypt_card
from txn_svc.domain.card import Card, Pan, brand_of
from txn_svc.domain.card_token import CardToken
from txn_svc.domain.transaction import KeptCard


@dataclass(frozen=True, slots=True)
class SealedCard:
    """A token and its card, which only the key store can open."""

    token: CardToken
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Sealing:
    """An encrypted card as it came, and whose intent it is to pay."""

    caller: Caller
    payment_intent_id: PaymentIntentId
    encrypted_card: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that is not stored yet. nonce: to be taken once and remembered until then."""

    card: SealedCard
    nonce: str
    nonce_until: datetime


def seal_card(wish: Sealing, keys: KeyStore[Any], now: datetime) -> NewToken:
    """Turn an encrypted card into a token's; in between it is in the clear nowhere but here.

    Raises as `decrypt_card` does.
    """
    decrypted = decrypt_card(wish.encrypted_card, keys, now)
    card = decrypted.card
    token = CardToken(
        id=CardTokenId(new_id("tok", wish.caller.merchant_id)),
        merchant_id=wish.caller.merchant_id,
        mode=wish.caller.mode,
        payment_intent_id=wish.payment_intent_id,
        card=KeptCard(brand_of(card.pan).name, card.pan.last4, card.exp_month, card.exp_year),
        created=int(now.timestamp()),
    )
    plain = json.dumps([card.pan.digits, card.exp_month, card.exp_year, card.cvc]).encode()
    sealed = SealedCard(token, keys.seal_token(plain, token.owner))
    return NewToken(sealed, decrypted.nonce, decrypted.nonce_until)


def open_card(sealed: SealedCard, keys: KeyStore[Any]) -> Card:
    """Return the card of a token.

    Raises KeyStoreUnavailable; KeyUnknown, SealBroken where somebody changed the row.
    """
    digits, exp_month, exp_year, cvc = json.loads(
        keys.open_token(sealed.sealed, sealed.token.owner)
    )
    return Card(Pan(digits), exp_month, exp_year, cvc)
