"""A card that is charged: what is kept of it, and its number in an envelope for later messages.

The number is encrypted under a data key of its own, which the key store wraps. Whoever loses the
wrapped key loses the number: that is how it is shredded. The card verification code is in neither.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag

from chassis.ids import Kid, MerchantId, TransactionId
from chassis.keystore.keys import SealBroken
from chassis.keystore.store import KEY_BYTES, KeyStore, Sealed
from chassis.sealing import Sealer
from txn_svc.cards.strict import encode_base64url
from txn_svc.domain.card import Card, Pan, brand_of
from txn_svc.domain.transaction import ChargedCard


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose number it is: put into another row, an envelope can't be opened."""

    merchant_id: MerchantId
    transaction_id: TransactionId


@dataclass(frozen=True, slots=True)
class Envelope:
    """A card number that only the key store can open.

    wrapped: its data key, 32 bytes, wrapped. sealed: nonce, ciphertext and tag of AES-256-GCM.
    """

    owner: Owner
    wrapped: Sealed
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Keeping:
    """A card that is about to be charged, and for which transaction."""

    card: Card
    owner: Owner


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a card beside what is in memory."""

    card: ChargedCard
    envelope: Envelope


def keep_card(wish: Keeping, keys: KeyStore[Any]) -> Kept:
    """Return what is kept of a card. Raises KeyStoreUnavailable.

    The fingerprint is of the whole number (PCI DSS 3.5.1.1). The merchant's id is its salt, so that
    two merchants can't find out that they have a customer in common.
    """
    card, owner = wish.card, wish.owner
    fingerprint = keys.fingerprint(f"{owner.merchant_id} {card.pan.digits}".encode())
    charged = ChargedCard(
        brand=brand_of(card.pan).name,
        last4=card.pan.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        card_bin=card.pan.card_bin,
        fingerprint=encode_base64url(fingerprint.digest),
        fingerprint_kid=fingerprint.kid,
    )
    return Kept(charged, seal_pan(card.pan, owner, keys))


def seal_pan(pan: Pan, owner: Owner, keys: KeyStore[Any]) -> Envelope:
    """Put a card number into an envelope. Raises KeyStoreUnavailable."""
    data_key = secrets.token_bytes(KEY_BYTES)
    wrapped = keys.wrap_data_key(data_key)
    sealed = Sealer(data_key).seal(pan.digits.encode(), _bound(owner, wrapped.kid))
    return Envelope(owner, wrapped, sealed)


def open_pan(envelope: Envelope, keys: KeyStore[Any]) -> Pan:
    """Return the card number. Raises KeyStoreUnavailable; KeyUnknown, SealBroken."""
    data_key = keys.unwrap_data_key(envelope.wrapped)
    bound = _bound(envelope.owner, envelope.wrapped.kid)
    try:
        return Pan(Sealer(data_key).open(envelope.sealed, bound).decode())
    except InvalidTag:
        raise SealBroken from None


def rewrap(envelope: Envelope, keys: KeyStore[Any]) -> Envelope:
    """Return a new envelope under the current key. Raises as `open_pan` does.

    The data key is new too: what is left of the old envelope, on disks and in the WAL, ends with
    the key that wrapped it.
    """
    return seal_pan(open_pan(envelope, keys), envelope.owner, keys)


def _bound(owner: Owner, kid: Kid) -> str:
    return f"{owner.transaction_id} {owner.merchant_id} {kid}"
