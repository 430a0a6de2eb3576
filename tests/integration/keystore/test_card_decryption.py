"""Encrypted cards over both kinds of key store, made by joserfc."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey

from chassis.keystore.keys import Purpose
from chassis.keystore.store import KeyStore
from tests.integration.keystore.parts import Ground, rotate_fully
from tests.jose import Sender, b64u, jwk_of
from txn_svc.cards.encrypted_card import EncryptedCardInvalid, decrypt_card

pytestmark = pytest.mark.integration

NONCE = "0b54aa31-3b2f-4d5c-9a0e-0d8f6f7f1c11"


def _plain(ground: Ground) -> bytes:
    card = {"number": "5555555555554444", "exp_month": 12, "exp_year": 2034, "cvc": "987"}
    return json.dumps(card | {"iat": int(ground.clock.now().timestamp()), "nonce": NONCE}).encode()


def test_a_card_that_joserfc_encrypted_comes_out_also_after_a_rotation(
    store: KeyStore[Any], ground: Ground
) -> None:
    [public] = store.public_keys()
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": public.kid}
    text = jwe.encrypt_compact(header, _plain(ground), ECKey.import_key(jwk_of(public)))
    rotate_fully(store, ground.clock, Purpose.CARD_ENCRYPTION)

    found = decrypt_card(text, store, ground.clock.now())

    assert (found.card.pan.digits, found.nonce) == ("5555555555554444", NONCE)


def test_a_card_for_another_key_does_not_come_out(store: KeyStore[Any], ground: Ground) -> None:
    old = Sender(store.public_keys()[0])
    rotate_fully(store, ground.clock, Purpose.CARD_ENCRYPTION)
    header = old.header() | {"kid": store.public_keys()[0].kid}

    with pytest.raises(EncryptedCardInvalid, match="changed or is for another key"):
        decrypt_card(".".join(old.encrypt(_plain(ground), header)), store, ground.clock.now())


def test_a_point_off_the_curve_is_refused(store: KeyStore[Any], ground: Ground) -> None:
    sender = Sender(store.public_keys()[0])
    header = sender.header()
    header["epk"] |= {"x": b64u(b"\x01" * 32)}

    with pytest.raises(EncryptedCardInvalid, match="point on P-256"):
        decrypt_card(".".join(sender.encrypt(_plain(ground), header)), store, ground.clock.now())
