"""The HSM: keys that can't be taken out, sessions that come back, a PIN that is tried once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from chassis.ids import new_kid
from chassis.keystore.keys import (
    KeyStoreRefused,
    KeyStoreUnavailable,
    KeyUnknown,
    Purpose,
)
from chassis.keystore.pkcs11 import Pkcs11KeyStore, Token
from tests.integration.keystore.parts import (
    PIN,
    SoftHsmGround,
    rotate_fully,
    softhsm,
    wait_until_retirable,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def hsm(softhsm_ground: SoftHsmGround) -> Pkcs11KeyStore:
    store = Pkcs11KeyStore(softhsm_ground.token, softhsm_ground.clock)
    store.create_missing()
    softhsm_ground.clock.move(1)
    return store


def _secret_keys(session: pkcs11.Session) -> list[Any]:
    classes = (ObjectClass.PRIVATE_KEY, ObjectClass.SECRET_KEY)
    return [key for one in classes for key in session.get_objects({Attribute.CLASS: one})]


def test_every_key_is_made_inside_and_can_never_leave(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    with softhsm_ground.session() as session:
        keys = _secret_keys(session)
        assert len(keys) == len(Purpose)
        for key in keys:
            for kept in (
                *(Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE),
                *(Attribute.LOCAL, Attribute.PRIVATE, Attribute.TOKEN),
            ):
                assert key[kept] is True, (key, kept)
            assert key[Attribute.EXTRACTABLE] is False
            with pytest.raises(pkcs11.AttributeSensitive):
                key[Attribute.VALUE]


def test_a_key_can_do_nothing_but_what_its_purpose_needs(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    abilities = {
        Attribute.ENCRYPT: "encrypt",
        Attribute.DECRYPT: "decrypt",
        Attribute.WRAP: "wrap",
        Attribute.UNWRAP: "unwrap",
        Attribute.SIGN: "sign",
        Attribute.DERIVE: "derive",
    }
    with softhsm_ground.session() as session:
        found = {}
        for key in _secret_keys(session):
            able = set()
            for attribute, name in abilities.items():
                try:
                    able |= {name} if key[attribute] else set()
                except pkcs11.AttributeTypeInvalid:
                    continue  # this kind of key has no such ability
            found[key.label.split()[1]] = able

    assert found == {
        "card-encryption": {"derive"},
        "token-encryption": {"encrypt", "decrypt"},
        "pan-envelope": {"wrap", "unwrap"},
        "card-fingerprint": {"sign"},
        "audit-signing": {"sign"},
    }


def test_no_key_can_be_wrapped_out(hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround) -> None:
    with softhsm_ground.session() as session:
        keys = _secret_keys(session)
        wrapping = next(key for key in keys if "pan-envelope" in key.label)
        for key in keys:
            with pytest.raises(pkcs11.PKCS11Error):
                wrapping.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)


def test_what_else_is_in_the_token_is_left_alone(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    with softhsm_ground.session() as session:
        others = {
            "somebody's": b"1",
            "paymesh": b"1",
            "paymesh other-purpose 1": new_kid().encode(),
            "paymesh pan-envelope x": new_kid().encode(),
            "paymesh pan-envelope 1": b"\xff",
        }
        for label, key_id in others.items():
            session.generate_key(
                KeyType.AES,
                256,
                label=label,
                id=key_id,
                store=True,
                capabilities=MechanismFlag.WRAP,
            )

        assert len(hsm.list_keys()) == len(Purpose)
        assert len(_secret_keys(session)) == len(Purpose) + len(others)


def test_nothing_stays_behind_of_what_was_unwrapped_or_agreed(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    with softhsm_ground.session() as session:
        before = len(list(session.get_objects()))

        hsm.unwrap_data_key(hsm.wrap_data_key(bytes(32)))
        public = hsm.public_keys()[0]
        hsm.agree(public.kid, b"\x04" + public.x + public.y)

        assert len(list(session.get_objects())) == before


def test_a_destroyed_pair_is_gone_with_both_halves(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    old = hsm.public_keys()[0].kid
    rotate_fully(hsm, softhsm_ground.clock, Purpose.CARD_ENCRYPTION)
    wait_until_retirable(softhsm_ground.clock)

    hsm.retire(old)

    with softhsm_ground.session() as session:
        assert list(session.get_objects({Attribute.ID: old.encode()})) == []


def test_a_key_that_another_process_destroys_is_unknown_at_the_second_look(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    sealed = hsm.seal_token(b"card", "tok_1")
    with softhsm_ground.session() as session:
        for key in session.get_objects({Attribute.ID: sealed.kid.encode()}):
            key.destroy()

    with pytest.raises(KeyStoreUnavailable):
        hsm.open_token(sealed, "tok_1")
    with pytest.raises(KeyUnknown):
        hsm.open_token(sealed, "tok_1")


def test_a_lost_session_costs_one_call(hsm: Pkcs11KeyStore) -> None:
    sealed = hsm.seal_token(b"card", "tok_1")

    pkcs11.lib(softhsm()).reinitialize()

    with pytest.raises(KeyStoreUnavailable):
        hsm.open_token(sealed, "tok_1")
    assert hsm.open_token(sealed, "tok_1") == b"card"


def test_a_store_that_is_closed_does_not_take_the_login_of_another_for_long(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    other = Pkcs11KeyStore(softhsm_ground.token, softhsm_ground.clock)
    sealed = hsm.seal_token(b"card", "tok_1")

    hsm.close()

    with pytest.raises(KeyStoreUnavailable):
        other.open_token(sealed, "tok_1")
    assert other.open_token(sealed, "tok_1") == b"card"


@pytest.mark.parametrize(
    "change",
    [{"label": "other"}, {"library": Path("/nowhere/libsofthsm2.so")}],
    ids=["token", "library"],
)
def test_a_token_that_is_not_there_is_unavailability(
    softhsm_ground: SoftHsmGround, change: dict[str, Any]
) -> None:
    token = replace(softhsm_ground.token, **change)

    with pytest.raises(KeyStoreUnavailable):
        Pkcs11KeyStore(token, softhsm_ground.clock)


def test_a_wrong_pin_is_not_tried_again(softhsm_ground: SoftHsmGround) -> None:
    token = replace(softhsm_ground.token, pin="wrong pin")
    with pytest.raises(KeyStoreRefused) as refused:
        Pkcs11KeyStore(token, softhsm_ground.clock)
    assert "wrong pin" not in str(refused.value)

    assert Pkcs11KeyStore(softhsm_ground.token, softhsm_ground.clock).create_missing()


def test_a_pin_that_was_changed_meanwhile_is_tried_once(
    hsm: Pkcs11KeyStore, softhsm_ground: SoftHsmGround
) -> None:
    with softhsm_ground.session() as session:
        session.set_pin(PIN, "314159")
    pkcs11.lib(softhsm()).reinitialize()
    with pytest.raises(KeyStoreUnavailable):
        hsm.seal_token(b"card", "tok_1")
    with pytest.raises(KeyStoreRefused, match="refuses the PIN"):
        hsm.list_keys()

    with pytest.raises(KeyStoreRefused, match="refused the PIN before"):
        hsm.list_keys()


def test_no_text_of_a_token_shows_its_pin() -> None:
    assert PIN not in repr(Token(Path("lib.so"), "paymesh", PIN))
