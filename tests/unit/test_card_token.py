"""A card token's rules, and cards sealed and opened off the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis.errors import Overloaded
from chassis.identity import Caller
from chassis.ids import CardTokenId, MerchantId, PaymentIntentId, created_at, new_id
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import KeyStoreUnavailable, SealBroken
from chassis.keystore.store import Sealed
from tests.fakes import FakeClock
from tests.jose import Sender
from txn_svc.cards import card_keys
from txn_svc.cards.card_keys import CardKeys
from txn_svc.cards.encrypted_card import EncryptedCardExpired
from txn_svc.cards.token import NewToken, SealedCard, Sealing
from txn_svc.domain.card import IncorrectNumber
from txn_svc.domain.card_token import (
    LIFETIME_S,
    CardToken,
    CardTokenExpired,
    CardTokenForAnotherIntent,
    CardTokenRefused,
    CardTokenUnknown,
    check_usable,
    missing,
)
from txn_svc.domain.transaction import KeptCard
from txn_svc.handlers.card_tokens import CardTokenWish

CALLER = Caller(MerchantId("mer_2b"), "test")
INTENT_ID = PaymentIntentId("pi_1")
PAN, CVC = "4242424242424242", "123"
TOKEN = CardToken(
    CardTokenId("tok_1"), CALLER.merchant_id, "test", INTENT_ID, KeptCard("visa", "4242", 1, 30), 1
)


class StuckKeyStore(FileKeyStore):
    """A store that hangs, or is away, when it is told to."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        super().__init__(path, b"m" * 32, clock)
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_away = False

    def seal_token(self, plain: bytes, owner: str) -> Sealed:
        """Seal, as soon as it may."""
        assert self.goes_on.wait(10)
        if self.is_away:
            raise KeyStoreUnavailable
        return super().seal_token(plain, owner)


class Ground:
    """A key store and what is done with it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store = StuckKeyStore(folder / "keys", self.clock)
        self.store.create_missing()
        self.keys = CardKeys(self.store, self.clock)

    def sealing(self, **fields: object) -> Sealing:
        """Return a card that a browser has encrypted now."""
        plain = {
            "number": PAN,
            "exp_month": 12,
            "exp_year": 2034,
            "cvc": CVC,
            "iat": int(self.clock.now().timestamp()),
            "nonce": "n" * 36,
        } | fields
        sender = Sender(self.store.public_keys()[0])
        return Sealing(CALLER, INTENT_ID, ".".join(sender.encrypt(json.dumps(plain).encode())))


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    made = Ground(tmp_path)
    yield made
    await made.keys.close()


def test_an_id_says_when_it_was_made() -> None:
    before = time.time()

    made = created_at(new_id("tok", "mer_2b"))

    assert before - 0.001 <= made <= time.time()


@pytest.mark.parametrize(
    ("age_s", "refusal"), [(LIFETIME_S - 1, CardTokenUnknown), (LIFETIME_S, CardTokenExpired)]
)
def test_a_token_that_is_not_there_has_expired_if_it_would_be_too_old(
    age_s: int, refusal: type[CardTokenRefused]
) -> None:
    token_id = new_id("tok", "mer_2b")

    assert isinstance(missing(token_id, created_at(token_id) + age_s), refusal)


@pytest.mark.parametrize("token_id", ["", "tok_1", "pi_" + "0" * 26, "tok_" + "u" * 26])
def test_what_is_no_token_id_is_unknown(token_id: str) -> None:
    assert isinstance(missing(token_id, 4e9), CardTokenUnknown)


@pytest.mark.parametrize(
    ("mode", "intent_id", "now", "refusal"),
    [
        ("live", INTENT_ID, 2.0, CardTokenUnknown),
        ("live", "pi_2", 2.0, CardTokenUnknown),
        ("test", "pi_2", 2.0, CardTokenForAnotherIntent),
        ("test", INTENT_ID, 1.0 + LIFETIME_S, CardTokenExpired),
    ],
)
def test_a_token_that_pays_nothing_says_why(
    mode: str, intent_id: str, now: float, refusal: type[CardTokenRefused]
) -> None:
    with pytest.raises(refusal) as refused:
        check_usable(TOKEN, mode, intent_id, now)

    assert refused.value.param == "card.token"
    check_usable(TOKEN, "test", INTENT_ID, 0.9 + LIFETIME_S)


async def test_an_encrypted_card_becomes_a_token_that_opens_for_itself_alone(
    ground: Ground,
) -> None:
    new = await ground.keys.sealings.submit(ground.sealing())

    card = await ground.keys.openings.submit(new.card)

    token = new.card.token
    assert (card.pan.digits, card.exp_month, card.exp_year, card.cvc) == (PAN, 12, 2034, CVC)
    assert token.card == KeptCard("visa", "4242", 12, 2034)
    for change in (
        {"id": CardTokenId("tok_2")},
        {"payment_intent_id": PaymentIntentId("pi_2")},
        {"merchant_id": MerchantId("mer_2c")},
        {"mode": "live"},
    ):
        other = SealedCard(replace(token, **change), new.card.sealed)
        with pytest.raises(SealBroken):
            await ground.keys.openings.submit(other)


async def test_each_card_of_a_batch_has_its_own_verdict(ground: Ground) -> None:
    results = await asyncio.gather(
        *(
            ground.keys.sealings.submit(ground.sealing(**fields))
            for fields in ({}, {"number": "4242424242424241"}, {"iat": 1}, {})
        ),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [
        NewToken,
        IncorrectNumber,
        EncryptedCardExpired,
        NewToken,
    ]


async def test_a_key_store_that_hangs_does_not_hold_up_the_loop(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.store.goes_on.clear()
    waiting = asyncio.create_task(ground.keys.sealings.submit(ground.sealing()))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()

    monkeypatch.setattr(ground.keys.sealings, "_waiting_max", 0)
    with pytest.raises(Overloaded):
        await ground.keys.sealings.submit(ground.sealing())
    ground.store.goes_on.set()

    assert isinstance(await waiting, NewToken)
    assert card_keys.WAITING_MAX < 10_000


async def test_a_key_store_that_is_away_is_told_as_such(ground: Ground) -> None:
    ground.store.is_away = True

    with pytest.raises(KeyStoreUnavailable):
        await ground.keys.sealings.submit(ground.sealing())


async def test_nothing_on_the_way_shows_a_card(ground: Ground) -> None:
    wish = CardTokenWish("pi_1", "pi_1_secret_5f", ground.sealing().encrypted_card)
    new = await ground.keys.sealings.submit(ground.sealing())
    card = await ground.keys.openings.submit(new.card)

    shown = f"{new!r} {card!r} {wish!r}"

    for secret in (PAN, PAN[:-4], f"'{CVC}'", "secret_5f"):
        assert secret not in shown
    assert datetime.fromtimestamp(new.card.token.created, UTC) == ground.clock.now()
