"""Ids: prefix, bucket, order."""

from __future__ import annotations

import pytest

from chassis.ids import PREFIXES, is_id, new_id, new_merchant_id, shard_bucket


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_id_carries_its_prefix_and_its_merchants_bucket(prefix: str) -> None:
    merchant = new_merchant_id()

    made = new_id(prefix, merchant)

    assert is_id(prefix, made)
    assert 0 <= shard_bucket(made) < 1024
    assert shard_bucket(made) == shard_bucket(merchant)


def test_ids_of_a_merchant_never_repeat() -> None:
    merchant = new_merchant_id()

    assert len({new_id("pi", merchant) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    "text", ["", "pi_", "pi_x", "txn_" + "0" * 26, "pi_" + "U" * 26, "nothing"]
)
def test_what_is_no_id_is_told(text: str) -> None:
    assert not is_id("pi", text)
