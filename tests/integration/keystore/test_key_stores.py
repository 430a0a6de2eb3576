"""What every key store promises, the same for the file and for the HSM."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chassis.ids import Kid, is_kid
from chassis.keystore.keys import (
    ACTIVATION,
    CARD_PURPOSES,
    REREAD,
    KeyInUse,
    KeyMissing,
    KeyUnknown,
    PointInvalid,
    Purpose,
    SealBroken,
    State,
)
from chassis.keystore.signatures import is_signed
from chassis.keystore.store import KeyStore, PublicKey, Sealed, Signature, uncompressed
from tests.integration.keystore.parts import Ground, rotate_fully, wait_until_retirable

pytestmark = pytest.mark.integration

Store = KeyStore[Any]
OWNER = "tok_1"


def _states(store: Store, purpose: Purpose) -> list[State]:
    return [key.state for key in store.list_keys() if key.purpose is purpose]


def _kid(store: Store, purpose: Purpose, state: State) -> Kid:
    return next(
        key.kid for key in store.list_keys() if (key.purpose, key.state) == (purpose, state)
    )


def _secret_of_the_other_side(private: ec.EllipticCurvePrivateKey, public: PublicKey) -> bytes:
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(public.x), int.from_bytes(public.y), ec.SECP256R1()
    )
    return private.exchange(ec.ECDH(), numbers.public_key())


def test_each_purpose_gets_one_key_which_is_current_at_once(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ground.open(monkeypatch)

    made = store.create_missing()

    assert [(key.purpose, key.state) for key in made] == [
        (purpose, State.CURRENT) for purpose in Purpose
    ]
    assert all(is_kid(key.kid) and key.created == ground.clock.now() for key in made)
    assert store.create_missing() == []
    assert store.list_keys() == made


def test_without_a_key_there_is_no_answer(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ground.open(monkeypatch)

    for ask in (
        store.public_keys,
        lambda: store.seal_token(b"card", OWNER),
        lambda: store.wrap_data_key(bytes(32)),
        lambda: store.fingerprint(b"4242"),
        lambda: store.sign(b"manifest"),
    ):
        with pytest.raises(KeyMissing):
            ask()


def test_both_sides_of_an_agreement_come_to_the_same_secret(store: Store) -> None:
    [public] = store.public_keys()
    other = ec.generate_private_key(ec.SECP256R1())

    secret = store.agree(public.kid, uncompressed(other.public_key()))

    assert secret == _secret_of_the_other_side(other, public)


def test_a_secret_that_begins_with_zeros_keeps_them(store: Store) -> None:
    [public] = store.public_keys()

    while True:
        other = ec.generate_private_key(ec.SECP256R1())
        expected = _secret_of_the_other_side(other, public)
        if expected[0] == 0:
            break

    assert store.agree(public.kid, uncompressed(other.public_key())) == expected


@pytest.mark.parametrize(
    "point",
    [
        b"",
        b"\x04" + bytes(64),
        b"\x04" + b"\x01" * 64,
        b"\x04" + b"\xff" * 64,
        b"\x00",
        b"\x02" + bytes(32),
        b"\x04" + bytes(63),
        b"\x04" + bytes(65),
        b"\x06" + uncompressed(ec.generate_private_key(ec.SECP256R1()).public_key())[1:],
        uncompressed(ec.generate_private_key(ec.SECP256K1()).public_key()),
        uncompressed(ec.generate_private_key(ec.BrainpoolP256R1()).public_key()),
        uncompressed(ec.generate_private_key(ec.SECP384R1()).public_key()),
    ],
    ids=lambda point: point.hex()[:12] or "empty",
)
def test_a_point_that_is_not_on_the_curve_is_refused(store: Store, point: bytes) -> None:
    [public] = store.public_keys()

    with pytest.raises(PointInvalid):
        store.agree(public.kid, point)


@pytest.mark.parametrize("plain", [b"", b"x", b"card" * 500])
def test_a_token_opens_for_its_owner(store: Store, plain: bytes) -> None:
    sealed = store.seal_token(plain, OWNER)

    assert store.open_token(sealed, OWNER) == plain
    assert store.seal_token(plain, OWNER).data != sealed.data


@pytest.mark.parametrize(
    ("spoil", "owner"),
    [
        (lambda data: data, "tok_2"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), OWNER),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], OWNER),
        (lambda data: data[:14] + bytes([data[14] ^ 1]) + data[15:], OWNER),
        (lambda data: data[:-1], OWNER),
        (lambda data: data[:27], OWNER),
        (lambda data: data[:12], OWNER),
        (lambda _: b"", OWNER),
        (lambda data: data + b"\x00", OWNER),
    ],
)
def test_a_changed_token_does_not_open(
    store: Store, spoil: Callable[[bytes], bytes], owner: str
) -> None:
    sealed = store.seal_token(b"card", OWNER)

    with pytest.raises(SealBroken):
        store.open_token(Sealed(sealed.kid, spoil(sealed.data)), owner)

    assert store.open_token(sealed, OWNER) == b"card"


def test_a_data_key_unwraps_to_itself(store: Store) -> None:
    data_key = secrets.token_bytes(32)

    wrapped = store.wrap_data_key(data_key)

    assert data_key not in wrapped.data
    assert store.unwrap_data_key(wrapped) == data_key


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-8],
        lambda data: data + bytes(8),
        lambda data: data[:7],
        lambda _: b"",
        lambda data: bytes(len(data)),
    ],
)
def test_a_changed_data_key_does_not_unwrap(store: Store, spoil: Callable[[bytes], bytes]) -> None:
    wrapped = store.wrap_data_key(secrets.token_bytes(32))

    with pytest.raises(SealBroken):
        store.unwrap_data_key(Sealed(wrapped.kid, spoil(wrapped.data)))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_data_key_has_32_bytes(store: Store, length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        store.wrap_data_key(bytes(length))


def test_a_fingerprint_tells_cards_apart_and_is_kept_over_a_rotation(
    store: Store, ground: Ground
) -> None:
    before = store.fingerprint(b"4242424242424242")
    assert before == store.fingerprint(b"4242424242424242")
    assert len(before.digest) == 32
    assert before.digest != store.fingerprint(b"4242424242424241").digest

    rotate_fully(store, ground.clock, Purpose.CARD_FINGERPRINT)

    after = store.fingerprint(b"4242424242424242")
    assert (after.kid != before.kid, after.digest != before.digest) == (True, True)
    assert store.fingerprint_under(before.kid, b"4242424242424242") == before


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_new_key_waits_then_takes_over_while_the_old_one_retires(
    store: Store, ground: Ground, purpose: Purpose
) -> None:
    old = _kid(store, purpose, State.CURRENT)

    new = store.rotate(purpose)

    assert new.state is State.NEXT
    assert _kid(store, purpose, State.CURRENT) == old
    ground.clock.move(ACTIVATION.total_seconds() - 1)
    assert _states(store, purpose) == [State.NEXT, State.CURRENT]
    ground.clock.move(1)
    assert _states(store, purpose) == [State.CURRENT, State.RETIRING]
    assert _kid(store, purpose, State.CURRENT) == new.kid
    assert [len(_states(store, one)) for one in Purpose if one is not purpose] == [1] * 4


def test_what_a_retiring_key_made_is_read_and_nothing_new_is_made_with_it(
    store: Store, ground: Ground
) -> None:
    [public] = store.public_keys()
    token, wrapped = store.seal_token(b"card", OWNER), store.wrap_data_key(bytes(range(32)))

    for purpose in Purpose:
        store.rotate(purpose)
    ground.clock.move(ACTIVATION.total_seconds())

    other = ec.generate_private_key(ec.SECP256R1())
    assert store.agree(public.kid, uncompressed(other.public_key())) == _secret_of_the_other_side(
        other, public
    )
    assert store.open_token(token, OWNER) == b"card"
    assert store.unwrap_data_key(wrapped) == bytes(range(32))
    assert [key.kid for key in store.public_keys()] == [
        _kid(store, Purpose.CARD_ENCRYPTION, State.CURRENT)
    ]
    assert public.kid not in {key.kid for key in store.public_keys()}
    assert store.seal_token(b"card", OWNER).kid != token.kid
    assert store.wrap_data_key(bytes(32)).kid != wrapped.kid


@pytest.mark.parametrize("purpose", CARD_PURPOSES)
def test_only_a_key_that_has_retired_for_long_enough_is_destroyed(
    store: Store, ground: Ground, purpose: Purpose
) -> None:
    old = _kid(store, purpose, State.CURRENT)
    with pytest.raises(KeyInUse):
        store.retire(old)
    new = store.rotate(purpose).kid
    with pytest.raises(KeyInUse):
        store.retire(new)

    ground.clock.move(ACTIVATION.total_seconds())
    wait_until_retirable(ground.clock)
    ground.clock.move(-1)
    with pytest.raises(KeyInUse):
        store.retire(old)
    with pytest.raises(KeyInUse):
        store.retire(new)
    ground.clock.move(1)
    store.retire(old)

    assert _states(store, purpose) == [State.CURRENT]
    with pytest.raises(KeyUnknown):
        store.retire(old)


def test_nothing_reads_what_a_destroyed_key_made(
    store: Store, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.seal_token(b"card", OWNER)
    rotate_fully(store, ground.clock, Purpose.TOKEN_ENCRYPTION)
    new = store.seal_token(b"card", OWNER)
    wait_until_retirable(ground.clock)

    store.retire(old.kid)

    for one in (store, ground.open(monkeypatch)):
        with pytest.raises(KeyUnknown):
            one.open_token(old, OWNER)
        assert one.open_token(new, OWNER) == b"card"


def test_a_key_does_only_what_it_is_for(store: Store) -> None:
    point = uncompressed(ec.generate_private_key(ec.SECP256R1()).public_key())
    uses: dict[Purpose, Callable[[Kid], object]] = {
        Purpose.CARD_ENCRYPTION: lambda kid: store.agree(kid, point),
        Purpose.TOKEN_ENCRYPTION: lambda kid: store.open_token(Sealed(kid, bytes(40)), OWNER),
        Purpose.PAN_ENVELOPE: lambda kid: store.unwrap_data_key(Sealed(kid, bytes(40))),
        Purpose.CARD_FINGERPRINT: lambda kid: store.fingerprint_under(kid, b"4242"),
    }

    for purpose, other in product(Purpose, uses):
        if purpose is not other:
            with pytest.raises(KeyUnknown):
                uses[other](_kid(store, purpose, State.CURRENT))


def test_a_signature_is_of_one_message_and_one_key(store: Store, ground: Ground) -> None:
    first = store.sign(b"manifest")
    rotate_fully(store, ground.clock, Purpose.AUDIT_SIGNING)
    second = store.sign(b"manifest")

    keys = {key.kid: key for key in store.verification_keys()}
    other = Signature(second.kid, first.data)
    spoiled = Signature(first.kid, bytes([first.data[0] ^ 1]) + first.data[1:])
    assert keys.keys() == {first.kid, second.kid}
    assert is_signed(b"manifest", first, keys)
    assert is_signed(b"manifest", second, keys)
    assert not is_signed(b"manifesto", first, keys)
    assert not is_signed(b"manifest", other, keys)
    assert not is_signed(b"manifest", spoiled, keys)
    assert not is_signed(b"manifest", Signature(first.kid, b""), keys)
    assert not is_signed(b"manifest", Signature(Kid("kid_0"), first.data), keys)


def test_a_key_that_signed_is_never_destroyed(store: Store, ground: Ground) -> None:
    old = _kid(store, Purpose.AUDIT_SIGNING, State.CURRENT)
    rotate_fully(store, ground.clock, Purpose.AUDIT_SIGNING)
    wait_until_retirable(ground.clock)

    with pytest.raises(KeyInUse):
        store.retire(old)


def test_another_process_knows_a_new_key_before_it_is_used(
    store: Store, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ground.open(monkeypatch)
    other.seal_token(b"card", OWNER)

    store.rotate(Purpose.TOKEN_ENCRYPTION)

    assert REREAD < ACTIVATION
    ground.clock.move(ACTIVATION.total_seconds())
    sealed = store.seal_token(b"card", OWNER)
    assert other.open_token(sealed, OWNER) == b"card"
    assert other.seal_token(b"card", OWNER).kid == sealed.kid


def test_a_clock_that_is_behind_makes_a_key_that_is_newer_all_the_same(
    store: Store, ground: Ground
) -> None:
    ground.clock.move(-3600)

    behind = store.rotate(Purpose.PAN_ENVELOPE)

    assert behind.state is State.NEXT
    ground.clock.move(3600 + ACTIVATION.total_seconds() + 1)
    assert _kid(store, Purpose.PAN_ENVELOPE, State.CURRENT) == behind.kid


def test_processes_that_rotate_at_once_lose_no_key(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ground.open(monkeypatch)

    kids = ground.rotate_in_processes(processes=3, rotations=5)

    assert len(set(kids)) == 15
    assert {key.kid for key in store.list_keys()} == set(kids)
