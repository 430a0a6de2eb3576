"""Clearing files of both networks through the whole mesh: the breaks that cards make, no others."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED, APPROVED_MASTERCARD, Merchant

pytestmark = pytest.mark.e2e

WAIT_S_MAX = 60.0
MISSING = ("4000000000990053", "5200000000990058")
OVER = ("4000000000990061", "5200000000990066")
TWICE = ("4000000000990103", "5200000000990108")
LOST_WITH_INQUIRIES = "5200000000990090"
SETTLED = """
select count(*) from attempts
where merchant_id = %s and status = 'succeeded' and deadline < now()
"""
UNANSWERED = "select count(*) from attempts where merchant_id = %s and status = 'timeout'"
LINES = """
select l.verdict, l.matched_by from clearing_lines l where l.merchant_id = %s
"""


async def _until(what: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Look again and again until there is enough; return what was seen."""
    deadline = time.monotonic() + WAIT_S_MAX
    seen = await asyncio.to_thread(what)
    while not enough(seen) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        seen = await asyncio.to_thread(what)
    assert enough(seen), seen
    return seen


def _breaks(mesh: Mesh, merchant: Merchant) -> list[dict[str, Any]]:
    """Return the open breaks about a merchant's payments."""
    found: list[dict[str, Any]] = json.loads(mesh.run("breaks", "--json"))
    return [
        one for one in found if one.get("ours", {}).get("merchantId") == merchant.keys.merchant_id
    ]


def _kinds(breaks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["kind"], one["paymentIntentId"]) for one in breaks)


async def test_cards_that_misbehave_in_clearing_make_their_breaks_and_no_others(
    mesh: Mesh, merchant: Merchant
) -> None:
    made: list[tuple[str, str]] = []
    for kind, cards in {
        "": (APPROVED, APPROVED_MASTERCARD),
        "missing_at_network": MISSING,
        "amount_over": OVER,
        "duplicate_line": TWICE,
    }.items():
        for card in cards:
            intent = await merchant.create_intent(1234)
            charged = await merchant.charge(intent["id"], card)
            assert charged.json["status"] == "succeeded"
            made += [(kind, intent["id"])] if kind else []
    await _until(
        lambda: mesh.query("recon", SETTLED, merchant.keys.merchant_id),
        lambda rows: rows == [(8,)],
    )

    mesh.run("networks", "clear")
    found = await _until(lambda: _breaks(mesh, merchant), lambda rows: len(rows) >= len(made))
    mesh.run("breaks", "import")

    assert _kinds(found) == sorted(made)
    assert _kinds(_breaks(mesh, merchant)) == sorted(made)
    for one in found:
        assert one["ours"]["amountMinor"] == 1234
        if one["kind"] == "amount_over":
            assert one["theirs"]["amountMinor"] == 1334
    report = json.loads(mesh.run("report", "--json"))
    assert {row["network"] for row in report["rows"]} == {"visa_sim", "mastercard_sim"}
    for row in report["rows"]:
        parts = [row[name] for name in ("matched", "waiting", "rejected")]
        parts += [part["theirs"] for part in row["breaks"]]
        for figure in ("lines", "amountMinor"):
            assert row["declared"][figure] == sum(part[figure] for part in parts), row


async def test_a_break_is_resolved_by_command(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent(1234)
    await merchant.charge(intent["id"], OVER[0])
    await _until(
        lambda: mesh.query("recon", SETTLED, merchant.keys.merchant_id),
        lambda rows: rows == [(1,)],
    )
    mesh.run("networks", "clear")
    [one] = await _until(lambda: _breaks(mesh, merchant), bool)

    mesh.run("breaks", "assign", one["id"], "--to", "ana")
    mesh.run("breaks", "resolve", one["id"], "--by", "ana", "--reason", "Credited.")

    assert _breaks(mesh, merchant) == []
    every = json.loads(mesh.run("breaks", "--all", "--json"))
    day = one["businessDate"]
    wanted = ("--status", "resolved", "--owner", "ana", "--from", day, "--to", day)
    mine = json.loads(mesh.run("breaks", *wanted, "--kind", one["kind"], "--json"))
    assert one["id"] in [found["id"] for found in mine]
    [resolved] = [row for row in every if row["id"] == one["id"]]
    assert resolved["owner"] == "ana"
    assert resolved["resolution"]["resolvedBy"] == "ana"
    assert resolved["resolution"]["reason"] == "Credited."


async def test_a_file_settles_what_is_open(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent(1234)
    charged = await merchant.charge(intent["id"], LOST_WITH_INQUIRIES)
    assert charged.json["status"] == "pending_verification"
    await _until(
        lambda: mesh.query("recon", UNANSWERED, merchant.keys.merchant_id),
        lambda rows: rows == [(1,)],
    )

    admin = mesh.status()["networks"]["mastercard_sim"]["admin"]
    await asyncio.to_thread(
        lambda: urllib.request.urlopen(f"http://{admin}/clearing", data=b"").close()
    )
    lines = await _until(
        lambda: mesh.query("recon", LINES, merchant.keys.merchant_id),
        lambda rows: rows and rows[0][0] == "matched",
    )

    path = f"/payment-intents/{intent['id']}/transactions/{charged.json['id']}"
    transaction = (await merchant.call("GET", path)).json
    assert (await merchant.intent(intent["id"]))["status"] == "succeeded"
    assert transaction["status"] == "succeeded"
    [attempt] = transaction["attempts"]["data"]
    # No message of the network said so: its file did.
    assert [row for row in attempt["messages"] if row["direction"] == "received"] == []
    assert _breaks(mesh, merchant) == []
    assert lines[0][0] == "matched"
