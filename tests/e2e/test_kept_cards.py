"""What is left of cards after every test card was charged, and keys that rotate meanwhile."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.networks.cards import BEHAVIORS, Delivery
from sandbox.platform.postgres_programs import tool
from tests.e2e.browser import Browser, charge_token
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED, APPROVED_MASTERCARD, Merchant, card

pytestmark = pytest.mark.e2e

CARDS = [*BEHAVIORS, APPROVED, APPROVED_MASTERCARD, "2223003122003222"]
WAIT_S_MAX = 90
# A reversal or an answer may still follow what the table's own rule calls open.
LEFT = """
select e.transaction_id, a.status, a.response_code from card_envelopes e
join attempts a on a.merchant_id = e.merchant_id and a.transaction_id = e.transaction_id
    and a.capture_number = 0
where e.merchant_id = %s
"""
Rows = list[tuple[Any, ...]]


async def _until(read: Callable[[], Rows], is_so: Callable[[Rows], bool]) -> Rows:
    for _ in range(WAIT_S_MAX):
        if is_so(found := read()):
            return found
        await asyncio.sleep(1)
    pytest.fail(f"still {found}")


def _dump(mesh: Mesh) -> str:
    done = subprocess.run(
        [tool("pg_dump"), mesh.status()["databases"]["txn"]],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _keys(mesh: Mesh, purpose: str) -> dict[str, int]:
    """Return the rows of each key of a purpose, by its state."""
    listed = json.loads(mesh.run("keys", "list", "--json"))
    return {key["state"]: key["rows"] for key in listed if key["purpose"] == purpose}


async def test_after_every_test_card_nothing_is_left_but_what_is_open(
    mesh: Mesh, merchant: Merchant
) -> None:
    held = await merchant.create_intent(captureMethod="manual")
    hold = (await merchant.charge(held["id"])).json["id"]
    dropped = []
    for number in CARDS:
        intent = await merchant.create_intent()
        charged = await merchant.charge(intent["id"], number)
        assert charged.status == 200, charged.content
        is_dropped = number in BEHAVIORS and BEHAVIORS[number].delivery is Delivery.DROPPED
        if is_dropped and number.startswith("5"):  # failed without a word, for now
            dropped.append(charged.json["id"])
    before = _dump(mesh)

    left = await _until(
        lambda: mesh.query("txn", LEFT, merchant.keys.merchant_id),
        lambda rows: {row[0] for row in rows} <= {hold, *dropped},
    )
    await _until(
        lambda: mesh.query("txn", LEFT, merchant.keys.merchant_id),
        lambda rows: {row[1] for row in rows} <= {"succeeded", "failed"},
    )

    assert hold in {row[0] for row in left}
    for dump in (before, _dump(mesh)):
        assert "card_envelopes" in dump
        for number in CARDS:
            for form in (number, number.encode().hex(), number[:-4]):
                assert form not in dump
    assert mesh.metric("txn_svc", "paymesh_stale_card_envelopes") == 0
    assert mesh.metric("txn_svc", "paymesh_oldest_card_envelope_seconds") > 0
    await merchant.call("POST", f"/payment-intents/{held['id']}/cancel")
    await _until(
        lambda: mesh.query("txn", LEFT, merchant.keys.merchant_id),
        lambda rows: hold not in {row[0] for row in rows},
    )


async def test_a_card_is_known_again_by_its_merchant_and_by_nobody_else(
    merchant: Merchant, connect: Callable[..., Merchant]
) -> None:
    async def charged(by: Merchant, number: str, *, as_token: bool = False) -> dict[str, Any]:
        intent = await by.create_intent()
        if not as_token:
            answer = await by.charge(intent["id"], number)
        else:
            browser = Browser(by)
            token = await browser.token(intent, number=number)
            answer = await charge_token(by, intent["id"], token)
        assert answer.status == 200, answer.content
        shown: dict[str, Any] = answer.json["card"]
        return shown

    first = await charged(merchant, APPROVED)
    same = [await charged(merchant, APPROVED), await charged(merchant, APPROVED, as_token=True)]
    others = [await charged(merchant, APPROVED_MASTERCARD), await charged(connect(), APPROVED)]

    assert first == {
        "brand": "visa",
        "last4": "4242",
        "expMonth": 12,
        "expYear": 2034,
        "bin": "424242",
        "fingerprint": first["fingerprint"],
    }
    assert len(first["fingerprint"]) == 43
    assert [shown["fingerprint"] for shown in same] == [first["fingerprint"]] * 2
    assert len({first["fingerprint"], *(shown["fingerprint"] for shown in others)}) == 3


async def test_a_token_does_not_show_the_fingerprint(merchant: Merchant) -> None:
    browser = Browser(merchant)
    intent = await merchant.create_intent()

    made = (await browser.ask(intent, await browser.encrypt(card()))).json

    assert made["card"].keys() == {"brand", "last4", "expMonth", "expYear"}


async def test_held_funds_are_captured_after_a_rotation_by_another_process(
    mesh: Mesh, merchant: Merchant
) -> None:
    held = await merchant.create_intent(captureMethod="manual")
    await merchant.charge(held["id"])
    sql = "select kid from card_envelopes where merchant_id = %s"
    [(old,)] = mesh.query("txn", sql, merchant.keys.merchant_id)

    made = json.loads(mesh.run("keys", "rotate", "pan-envelope", "--json"))[0]["kid"]
    await _until(
        lambda: mesh.query("txn", sql, merchant.keys.merchant_id), lambda rows: rows == [(made,)]
    )
    rows = _keys(mesh, "pan-envelope")
    refused = subprocess.run(  # noqa: ASYNC221 it is over at once
        [
            *(Path(sys.executable).parent / "paymesh", "keys", "retire", old, "--yes"),
            *("--state-dir", mesh.state_dir),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    await mesh.killed("txn_svc")
    captured = await merchant.capture(held["id"])
    ended = await merchant.final_intent(held["id"])

    assert (rows["retiring"], rows["current"] >= 1) == (0, True)
    assert (refused.returncode, "retiring for 60 minutes" in refused.stderr) == (1, True)
    # "processing" where the killed one's connection to the network was not up again in time.
    assert (captured.status, captured.json["status"] in {"processing", "succeeded"}) == (200, True)
    assert ended["amountCapturedInCents"] == held["amountInCents"]
    assert mesh.query("txn", sql, merchant.keys.merchant_id) == []
