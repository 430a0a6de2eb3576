"""What txn_svc does with the keys of card data, over both kinds of key store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.identity import Caller
from chassis.ids import MerchantId, PaymentIntentId, TransactionId
from chassis.keystore.config import require_keys
from chassis.keystore.keys import CARD_PURPOSES, KeyUnknown, Purpose
from chassis.keystore.store import KeyStore
from tests.integration.keystore.parts import Ground, rotate_fully, wait_until_retirable
from tests.jose import Sender
from txn_svc.cards.card_keys import CardKeys
from txn_svc.cards.envelope import Keeping, Owner
from txn_svc.cards.token import Sealing
from txn_svc.domain.card import Card

pytestmark = pytest.mark.integration

CALLER = Caller(MerchantId("mer_2b"), "test")
OWNER = Owner(CALLER.merchant_id, TransactionId("txn_2b1"))
PAN = "5555555555554444"


@pytest.fixture
async def card_keys(store: KeyStore[Any], ground: Ground) -> AsyncIterator[CardKeys]:
    keys = CardKeys(store, ground.clock)
    yield keys
    await keys.close()


def _sealing(store: KeyStore[Any], ground: Ground, number: int) -> Sealing:
    plain = {"number": PAN, "exp_month": 12, "exp_year": 2034, "cvc": "987"} | {
        "iat": int(ground.clock.now().timestamp()),
        "nonce": f"{number:036d}",
    }
    sender = Sender(store.public_keys()[0])
    text = ".".join(sender.encrypt(json.dumps(plain).encode()))
    return Sealing(CALLER, PaymentIntentId("pi_1"), text)


async def _charged(card_keys: CardKeys, sealing: Sealing) -> Card:
    return await card_keys.openings.submit((await card_keys.sealings.submit(sealing)).card)


async def test_cards_go_from_browsers_to_envelopes_and_out_of_them(
    card_keys: CardKeys, store: KeyStore[Any], ground: Ground
) -> None:
    sealings = [_sealing(store, ground, number) for number in range(40)]

    cards = await asyncio.gather(*(_charged(card_keys, sealing) for sealing in sealings))
    kept = await asyncio.gather(
        *(card_keys.keepings.submit(Keeping(card, OWNER)) for card in cards)
    )
    pans = [await card_keys.pan(each.envelope) for each in kept]

    assert {pan.digits for pan in pans} == {PAN}
    assert len({each.card for each in kept}) == 1
    assert len({each.envelope.wrapped.data for each in kept}) == 40


async def test_a_rotated_key_reads_until_everything_is_rewrapped_and_it_is_destroyed(
    card_keys: CardKeys, store: KeyStore[Any], ground: Ground
) -> None:
    card = await _charged(card_keys, _sealing(store, ground, 1))
    old = (await card_keys.keepings.submit(Keeping(card, OWNER))).envelope
    rotate_fully(store, ground.clock, Purpose.PAN_ENVELOPE)

    before = await card_keys.pan(old)
    [new] = await card_keys.rewrap([old])
    wait_until_retirable(ground.clock)
    await card_keys.retire(old.wrapped.kid)

    assert new is not None
    assert new.wrapped.kid != old.wrapped.kid
    assert before == await card_keys.pan(new) == card.pan
    with pytest.raises(KeyUnknown):
        await card_keys.pan(old)
    [gone, again] = await card_keys.rewrap([old, new])
    assert gone is None
    assert again is not None
    assert await card_keys.pan(again) == card.pan


async def test_a_fingerprint_outlives_a_rotation_of_every_other_key(
    card_keys: CardKeys, store: KeyStore[Any], ground: Ground
) -> None:
    card = await _charged(card_keys, _sealing(store, ground, 1))
    first = (await card_keys.keepings.submit(Keeping(card, OWNER))).card

    for purpose in Purpose:
        if purpose is not Purpose.CARD_FINGERPRINT:
            rotate_fully(store, ground.clock, purpose)

    assert (await card_keys.keepings.submit(Keeping(card, OWNER))).card == first


def test_a_store_without_first_keys_ends_the_process_and_says_what_to_do(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ground.open(monkeypatch)
    store.rotate(Purpose.CARD_ENCRYPTION)

    with pytest.raises(SystemExit) as ended:
        require_keys(store, CARD_PURPOSES)
    said = capsys.readouterr().err.splitlines()
    store.create_missing(CARD_PURPOSES)
    require_keys(store, CARD_PURPOSES)
    store.close()

    assert ended.value.code == 2
    assert [line.partition("paymesh keys rotate ")[2] for line in said] == [
        "token-encryption`",
        "pan-envelope`",
        "card-fingerprint`",
    ]
