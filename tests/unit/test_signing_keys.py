"""The edge's signing keys as they are replaced: two at first, then the new one alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.clock import SystemClock
from chassis.errors import Unauthenticated
from chassis.identity import (
    BROWSERS,
    KEYS_CHECK_S,
    SERVERS,
    TOKEN_LIFETIME_S,
    TOKEN_SHARED_S,
    Caller,
    TokenMinter,
    TokenVerifier,
    key_id,
)
from chassis.ids import MerchantId
from sandbox.platform.certificates import publish_signing_keys
from tests.fakes import FakeClock

OLD, NEW = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
MINTERS = {key: TokenMinter(key, SystemClock()) for key in (OLD, NEW)}  # whose tokens are shared


def _token(key: Ed25519PrivateKey) -> str:
    return MINTERS[key].mint("mer_1", "test", SERVERS)


def _takes(verifier: TokenVerifier, key: Ed25519PrivateKey) -> bool:
    try:
        return verifier.verify(_token(key), SERVERS).merchant_id == "mer_1"
    except Unauthenticated:
        return False


def test_a_key_is_named_by_its_thumbprint() -> None:
    # The key and its thumbprint are those of RFC 8037, appendices A.1 and A.3.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")

    name = key_id(Ed25519PrivateKey.from_private_bytes(seed))

    assert name == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_new_key_counts_at_once_and_one_that_is_taken_out_no_longer(tmp_path: Path) -> None:
    publish_signing_keys(tmp_path, [OLD])
    verifier = TokenVerifier(tmp_path / "jwks.json")
    assert (_takes(verifier, OLD), _takes(verifier, NEW)) == (True, False)

    publish_signing_keys(tmp_path, [OLD, NEW])
    assert (_takes(verifier, NEW), _takes(verifier, OLD)) == (True, True)

    publish_signing_keys(tmp_path, [NEW])
    time.sleep(KEYS_CHECK_S)
    assert (_takes(verifier, OLD), _takes(verifier, NEW)) == (False, True)


def test_a_set_that_can_not_be_read_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_signing_keys(tmp_path, [OLD])
    verifier = TokenVerifier(tmp_path / "jwks.json")
    assert _takes(verifier, OLD)

    (tmp_path / "jwks.json").write_text("{")
    time.sleep(KEYS_CHECK_S)

    assert (_takes(verifier, OLD), _takes(verifier, NEW)) == (True, False)
    assert "can't be read" in caplog.text


def test_requests_share_a_token_of_their_merchant_mode_and_audience_for_a_while() -> None:
    clock = FakeClock(datetime.now(UTC))
    minter = TokenMinter(NEW, clock)
    first = minter.mint("mer_1", "test", SERVERS)

    others = [
        minter.mint("mer_2", "test", SERVERS),
        minter.mint("mer_1", "live", SERVERS),
        minter.mint("mer_1", "test", BROWSERS),
    ]
    clock.move(TOKEN_SHARED_S - 1)
    shared = minter.mint("mer_1", "test", SERVERS)
    clock.move(1)
    next_one = minter.mint("mer_1", "test", SERVERS)

    assert len({first, *others, next_one}) == 5
    assert shared == first


def test_a_clock_that_is_set_back_ends_the_sharing() -> None:
    clock = FakeClock(datetime.now(UTC))
    minter = TokenMinter(NEW, clock)
    first = minter.mint("mer_1", "test", SERVERS)

    clock.move(-60)

    assert minter.mint("mer_1", "test", SERVERS) != first


def test_a_token_that_was_good_is_good_for_its_audience_alone_and_until_it_expires(
    tmp_path: Path,
) -> None:
    publish_signing_keys(tmp_path, [NEW])
    verifier = TokenVerifier(tmp_path / "jwks.json")
    made = datetime.now(UTC) - timedelta(seconds=TOKEN_LIFETIME_S - 2)
    token = TokenMinter(NEW, FakeClock(made)).mint("mer_1", "test", SERVERS)
    callers = [verifier.verify(token, SERVERS) for _ in range(2)]

    with pytest.raises(Unauthenticated):
        verifier.verify(token, BROWSERS)
    time.sleep(2.1)
    with pytest.raises(Unauthenticated):
        verifier.verify(token, SERVERS)

    assert callers == [Caller(MerchantId("mer_1"), "test")] * 2
