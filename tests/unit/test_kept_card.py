"""What is kept of a card: fingerprint, BIN, its number in an envelope, and for how long."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from chassis.ids import AttemptId, Kid, MerchantId, PaymentIntentId, TransactionId
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import ACTIVATION, Purpose, SealBroken
from chassis.keystore.store import Sealed
from tests.fakes import FakeClock
from txn_svc.cards.envelope import Envelope, Keeping, Owner, keep_card, open_pan, rewrap, seal_pan
from txn_svc.domain.attempt import (
    Attempt,
    AttemptKind,
    AttemptStatus,
    Reversal,
    ReversalReason,
    ReversalStatus,
)
from txn_svc.domain.card import Card, Pan
from txn_svc.domain.card_need import is_card_over
from txn_svc.domain.transaction import ChargedCard, Transaction

PAN = "4242424242424242"
CARD = Card(Pan(PAN), 12, 2034, "987")
OWNER = Owner(MerchantId("mer_2b"), TransactionId("txn_2b1"))
STRANGERS = [
    replace(OWNER, merchant_id=MerchantId("mer_2c")),
    replace(OWNER, transaction_id=TransactionId("txn_2b2")),
]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> FileKeyStore:
    store = FileKeyStore(tmp_path / "keys", b"m" * 32, clock)
    store.create_missing()
    return store


def test_a_card_is_kept_by_its_outside_and_a_fingerprint(keys: FileKeyStore) -> None:
    kept = keep_card(Keeping(CARD, OWNER), keys)

    digest = keys.fingerprint(f"mer_2b {PAN}".encode())
    assert (kept.card.brand, kept.card.last4, kept.card.card_bin) == ("visa", "4242", "424242")
    assert (kept.card.exp_month, kept.card.exp_year) == (12, 2034)
    assert len(kept.card.fingerprint) == 43
    assert kept.card.fingerprint_kid == digest.kid
    for secret in (PAN, CARD.cvc):
        assert secret not in repr(kept)
        assert secret.encode() not in kept.envelope.sealed
    assert CARD.cvc not in open_pan(kept.envelope, keys).digits


def test_a_fingerprint_is_the_same_for_a_merchants_card_and_for_nothing_else(
    keys: FileKeyStore,
) -> None:
    def fingerprint(card: Card = CARD, owner: Owner = OWNER) -> str:
        return keep_card(Keeping(card, owner), keys).card.fingerprint

    first = fingerprint()

    assert fingerprint(replace(CARD, exp_year=2035, cvc="111")) == first
    assert fingerprint(owner=STRANGERS[1]) == first
    assert fingerprint(owner=STRANGERS[0]) != first
    assert fingerprint(replace(CARD, pan=Pan("4000000000000002"))) != first


@pytest.mark.parametrize("owner", STRANGERS)
def test_an_envelope_opens_for_its_owner_alone(keys: FileKeyStore, owner: Owner) -> None:
    envelope = seal_pan(CARD.pan, OWNER, keys)

    assert open_pan(envelope, keys) == CARD.pan
    with pytest.raises(SealBroken):
        open_pan(replace(envelope, owner=owner), keys)


def test_two_envelopes_of_a_card_have_nothing_in_common(keys: FileKeyStore) -> None:
    one, other = (seal_pan(CARD.pan, OWNER, keys) for _ in range(2))

    assert one.wrapped.data != other.wrapped.data
    for mixed in (replace(one, sealed=other.sealed), replace(one, wrapped=other.wrapped)):
        with pytest.raises(SealBroken):
            open_pan(mixed, keys)


def test_a_rewrapped_envelope_is_bound_to_its_new_key(keys: FileKeyStore, clock: FakeClock) -> None:
    old = seal_pan(CARD.pan, OWNER, keys)
    made = keys.rotate(Purpose.PAN_ENVELOPE)
    clock.move(ACTIVATION.total_seconds() + 1)

    new = rewrap(old, keys)

    data_key = keys.unwrap_data_key(old.wrapped)
    moved = replace(old, wrapped=keys.wrap_data_key(data_key))
    assert (new.wrapped.kid, open_pan(new, keys)) == (made.kid, CARD.pan)
    assert keys.unwrap_data_key(new.wrapped) != data_key
    with pytest.raises(SealBroken):
        open_pan(moved, keys)


@pytest.mark.parametrize("sealed", [b"s" * 40, b"s" * 44])
def test_what_was_changed_does_not_open(keys: FileKeyStore, sealed: bytes) -> None:
    envelope = seal_pan(CARD.pan, OWNER, keys)

    with pytest.raises(SealBroken):
        open_pan(replace(envelope, sealed=sealed), keys)
    with pytest.raises(SealBroken):
        open_pan(Envelope(OWNER, Sealed(envelope.wrapped.kid, b"w" * 40), sealed), keys)


REVERSALS = [None, *ReversalStatus]
AUTHORIZATIONS = list(product(AttemptStatus, REVERSALS, ["paid", "held", "captured"]))


def _pair(status: AttemptStatus, reversal: ReversalStatus | None, money: str, **fields: Any) -> Any:
    undoing = Reversal(ReversalReason.RESPONSE_TIMEOUT, status=reversal) if reversal else None
    attempt = Attempt(
        id=AttemptId("att_1"),
        merchant_id=OWNER.merchant_id,
        transaction_id=OWNER.transaction_id,
        payment_intent_id=PaymentIntentId("pi_1"),
        network="visa_sim",
        amount_minor=1099,
        currency="usd",
        stan="000001",
        rrn="R00000000001",
        transmitted_at="0301120000",
        terminal_id="P0000001",
        deadline=1,
        created=1,
        status=status,
        reversal=undoing,
        capture_before=None if money == "paid" else 9,
        **fields,
    )
    transaction = Transaction(
        id=OWNER.transaction_id,
        merchant_id=OWNER.merchant_id,
        mode="test",
        payment_intent_id=PaymentIntentId("pi_1"),
        card=ChargedCard("visa", "4242", 12, 2034, "424242", "f" * 43, Kid("kid_1")),
        created=1,
        amount_captured_minor=0 if money == "held" else 1099,
    )
    return transaction, attempt


@pytest.mark.parametrize(("status", "reversal", "money"), AUTHORIZATIONS)
def test_a_card_is_needed_until_no_message_can_follow(
    status: AttemptStatus, reversal: ReversalStatus | None, money: str
) -> None:
    transaction, attempt = _pair(status, reversal, money, response_code="05")

    needed_for = {
        "an answer": status in {AttemptStatus.RECORDED, AttemptStatus.TIMEOUT},
        "a capture": status is AttemptStatus.SUCCEEDED and money == "held",
    }
    if reversal is not None:
        needed_for = {"its reversal": reversal is not ReversalStatus.ACKNOWLEDGED}
    if reversal is None and status is AttemptStatus.REVERSED:
        return  # the database knows no such row
    assert is_card_over(transaction, attempt) is not any(needed_for.values())


def test_a_failure_without_a_word_of_the_network_may_still_be_approved() -> None:
    assert not is_card_over(*_pair(AttemptStatus.FAILED, None, "paid"))


@pytest.mark.parametrize("status", [s for s in AttemptStatus if s is not AttemptStatus.REVERSED])
def test_a_capture_ends_the_need_when_it_is_acknowledged(status: AttemptStatus) -> None:
    pair = _pair(status, None, "paid", kind=AttemptKind.CAPTURE, response_code="00")

    assert is_card_over(*pair) is (status is AttemptStatus.SUCCEEDED)
