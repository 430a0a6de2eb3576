"""An encrypted card: fresh, exact, and masked wherever it could be printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import DomainError
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import ACTIVATION, RETIRING_MIN, Purpose
from tests.fakes import FakeClock
from tests.jose import Sender
from txn_svc.cards.encrypted_card import DecryptedCard, decrypt_card

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NONCE = "0b54aa31-3b2f-4d5c-9a0e-0d8f6f7f1c11"
NUMBER = "4242424242424242"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileKeyStore]:
    store = FileKeyStore(tmp_path_factory.mktemp("keys") / "keys", bytes(32), FakeClock())
    store.create_missing()
    yield store
    store.close()


def _members(**changes: Any) -> dict[str, Any]:
    members = {"number": NUMBER, "exp_month": 12, "exp_year": 2034, "cvc": "987"}
    members |= {"iat": int(NOW.timestamp()), "nonce": NONCE}
    return {name: value for name, value in (members | changes).items() if value is not ...}


def _encrypted(keys: FileKeyStore, plain: dict[str, Any] | str) -> str:
    text = plain if isinstance(plain, str) else json.dumps(plain)
    return ".".join(Sender(keys.public_keys()[0]).encrypt(text.encode()))


def test_a_card_comes_out_with_its_nonce_and_how_long_to_remember_it(keys: FileKeyStore) -> None:
    found = decrypt_card(_encrypted(keys, _members()), keys, NOW)

    assert found.card.pan.digits == NUMBER
    assert (found.card.exp_month, found.card.exp_year, found.card.cvc) == (12, 2034, "987")
    assert found.nonce == NONCE
    assert found.nonce_until == NOW + timedelta(minutes=10)


@pytest.mark.parametrize("age_s", [-300, 0, 599, 600])
def test_a_card_is_good_for_ten_minutes(keys: FileKeyStore, age_s: int) -> None:
    members = _members(iat=int(NOW.timestamp()) - age_s)

    found = decrypt_card(_encrypted(keys, members), keys, NOW)

    assert found.nonce_until >= NOW


@pytest.mark.parametrize(
    "iat", [int(NOW.timestamp()) - 601, int(NOW.timestamp()) + 301, 0, -1, 10**18, -(10**300)]
)
def test_a_card_of_another_time_is_refused(keys: FileKeyStore, iat: int) -> None:
    with pytest.raises(DomainError) as refused:
        decrypt_card(_encrypted(keys, _members(iat=iat)), keys, NOW)

    assert (refused.value.reason, refused.value.param) == (
        "ENCRYPTED_CARD_EXPIRED",
        "encryptedCard",
    )


@pytest.mark.parametrize(
    ("members", "reason", "param"),
    [
        (_members(iat=...), "PARAMETER_INVALID", "encryptedCard"),
        (_members(iat="1"), "PARAMETER_INVALID", "encryptedCard"),
        (_members(iat=1.5), "PARAMETER_INVALID", "encryptedCard"),
        (_members(iat=True), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce=...), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce=1), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce="short"), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce="4242424242424242"), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce="x" * 65), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce="é" * 20), "PARAMETER_INVALID", "encryptedCard"),
        (_members(nonce="0" * 20 + "\n"), "PARAMETER_INVALID", "encryptedCard"),
        (_members(name="Ada"), "PARAMETER_INVALID", "encryptedCard"),
        (_members(number=4242424242424242), "PARAMETER_INVALID", "encryptedCard"),
        (_members(exp_month="12"), "PARAMETER_INVALID", "encryptedCard"),
        (_members(exp_month=True), "PARAMETER_INVALID", "encryptedCard"),
        (_members(exp_year=2034.0), "PARAMETER_INVALID", "encryptedCard"),
        (_members(cvc=987), "PARAMETER_INVALID", "encryptedCard"),
        ("[]", "PARAMETER_INVALID", "encryptedCard"),
        ("4242424242424242", "PARAMETER_INVALID", "encryptedCard"),
        (
            json.dumps(_members())[:-1] + ',"number":"5555555555554444"}',
            "PARAMETER_INVALID",
            "encryptedCard",
        ),
        (_members(number=...), "PARAMETER_MISSING", "card.number"),
        (_members(cvc=None), "PARAMETER_MISSING", "card.cvc"),
        (_members(number="4242424242424241"), "INCORRECT_NUMBER", "card.number"),
        (_members(exp_month=13), "INVALID_EXPIRY_MONTH", "card.exp_month"),
        (_members(exp_year=10**30), "INVALID_EXPIRY_YEAR", "card.exp_year"),
        (_members(exp_year=2026, exp_month=10), "EXPIRED_CARD", "card.exp_year"),
        (_members(cvc="98"), "INVALID_CVC", "card.cvc"),
    ],
)
def test_a_bad_card_is_refused_by_name(
    keys: FileKeyStore, members: dict[str, Any] | str, reason: str, param: str
) -> None:
    with pytest.raises(DomainError) as refused:
        decrypt_card(_encrypted(keys, members), keys, NOW)

    assert (refused.value.reason, refused.value.param) == (reason, param)
    assert NUMBER not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "a.b.c.d.e", "4242424242424242", "\ud800", "é" * 10])
def test_what_is_not_encrypted_is_refused_without_repeating_it(
    keys: FileKeyStore, text: str
) -> None:
    with pytest.raises(DomainError) as refused:
        decrypt_card(text, keys, NOW)

    assert (refused.value.reason, refused.value.param) == ("PARAMETER_INVALID", "encryptedCard")
    assert NUMBER not in str(refused.value)


def test_a_card_for_a_destroyed_key_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = FakeClock(NOW)
    keys = FileKeyStore(tmp_path_factory.mktemp("keys") / "keys", bytes(32), clock)
    keys.create_missing()
    text, old = _encrypted(keys, _members()), keys.public_keys()[0].kid
    keys.rotate(Purpose.CARD_ENCRYPTION)
    clock.move((ACTIVATION + RETIRING_MIN).total_seconds() + 1)
    assert decrypt_card(text, keys, NOW).nonce == NONCE

    keys.retire(old)

    with pytest.raises(DomainError) as refused:
        decrypt_card(text, keys, NOW)
    assert refused.value.reason == "CARD_ENCRYPTION_KEY_UNKNOWN"


def test_no_text_of_a_decrypted_card_shows_it(keys: FileKeyStore) -> None:
    found: DecryptedCard = decrypt_card(_encrypted(keys, _members()), keys, NOW)

    for text in (repr(found), str(found), f"{found}", repr([found])):
        assert NUMBER not in text
        assert "987" not in text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["number", "exp_month", "exp_year", "cvc", "iat", "nonce", "x"]),
        JSON_VALUES,
        min_size=1,
    )
)
def test_no_payload_brings_out_anything_but_declared_errors(
    keys: FileKeyStore, changes: dict[str, Any]
) -> None:
    text = _encrypted(keys, json.dumps(_members() | changes))

    try:
        found = decrypt_card(text, keys, NOW)
    except DomainError:
        return

    assert found.card.pan.digits == (_members() | changes)["number"]


@given(raw=st.binary(max_size=200))
def test_no_plain_text_brings_out_anything_but_declared_errors(
    keys: FileKeyStore, raw: bytes
) -> None:
    parts = Sender(keys.public_keys()[0]).encrypt(raw)

    with pytest.raises(DomainError):
        decrypt_card(".".join(parts), keys, NOW)
