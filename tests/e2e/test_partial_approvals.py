"""Prepaid cards that cover a part: taken where the merchant accepts that, on both networks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED, Merchant

pytestmark = pytest.mark.e2e

HALF = ("4000000000990129", "5200000000990124")
READS_MAX = 300
SETTLED = """
select count(*) from attempts
where merchant_id = %s and status = 'succeeded' and deadline < now() and not is_hold
"""
LINES = "select verdict, amount_minor from clearing_lines where merchant_id = %s"

Read = TypeVar("Read")


async def _until(read: Callable[[], Awaitable[Read]], is_so: Callable[[Read], bool]) -> Read:
    """Read until it is so, and return what was read."""
    for _ in range(READS_MAX):
        if is_so(found := await read()):
            return found
        await asyncio.sleep(0.2)
    pytest.fail(f"still {found}")


async def _charged(
    merchant: Merchant, number: str, amount: int, **fields: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an intent after its charge, and the transaction as the charge was answered."""
    intent = await merchant.create_intent(amount, **fields)
    charged = await merchant.charge(intent["id"], number)
    assert charged.status == 200, charged.content
    return await merchant.intent(intent["id"]), charged.json


async def _authorization(merchant: Merchant, intent: dict[str, Any]) -> dict[str, Any]:
    path = f"/payment-intents/{intent['id']}/transactions/{intent['latestTransactionId']}"
    found: dict[str, Any] = (await merchant.call("GET", path)).json["attempts"]["data"][0]
    return found


async def _books(mesh: Mesh, merchant: Merchant, intent: dict[str, Any]) -> dict[str, Any]:
    rrn = (await _authorization(merchant, intent))["rrn"]
    [row] = [row for row in await asyncio.to_thread(mesh.ledger) if row["rrn"] == rrn]
    return row


@pytest.mark.parametrize("number", HALF)
async def test_an_accepted_part_is_paid_and_another_intent_collects_the_rest(
    mesh: Mesh, merchant: Merchant, number: str
) -> None:
    intent, charged = await _charged(merchant, number, 5001, partialApproval="accepted")
    rest, _ = await _charged(merchant, APPROVED, 5001 - intent["amountCapturedInCents"])

    assert (intent["status"], intent["partialApproval"]) == ("succeeded", "accepted")
    assert (intent["amountInCents"], intent["amountAuthorizedInCents"]) == (5001, 2500)
    assert intent["amountCapturedInCents"] == 2500
    assert (charged["status"], charged["amountInCents"]) == ("succeeded", 5001)
    assert charged["amountApprovedInCents"] == charged["amountCapturedInCents"] == 2500
    attempt = await _authorization(merchant, intent)
    assert (attempt["amountInCents"], attempt["amountApprovedInCents"]) == (5001, 2500)
    assert (attempt["responseCode"], attempt["partialApproval"]) == ("10", "accepted")
    assert "reversal" not in attempt
    row = await _books(mesh, merchant, intent)
    assert (row["captured"], row["reversed"]) == (2500, False)
    assert rest["amountCapturedInCents"] == rest["amountAuthorizedInCents"] == 2501


@pytest.mark.parametrize("number", HALF)
@pytest.mark.parametrize("fields", [{}, {"partialApproval": "refused"}], ids=["unsaid", "said"])
async def test_a_part_is_undone_unless_it_is_accepted(
    mesh: Mesh, merchant: Merchant, number: str, fields: dict[str, Any]
) -> None:
    intent, charged = await _charged(merchant, number, 5003, **fields)

    row = await _until(lambda: _books(mesh, merchant, intent), lambda row: bool(row["reversed"]))
    assert (intent["status"], intent["partialApproval"]) == ("failed", "refused")
    assert (intent["amountAuthorizedInCents"], intent["amountCapturedInCents"]) == (0, 0)
    assert intent["lastFailure"]["declineCode"] == "insufficient_funds"
    assert charged["status"] == "failed"
    assert "amountApprovedInCents" not in charged
    assert row["captured"] == 0
    # It is undone by the amount that the issuer approved.
    assert row["messages"][-1]["amount"] == f"{2501:012d}"


@pytest.mark.parametrize("number", HALF)
async def test_a_held_part_is_captured_or_released_and_never_more(
    mesh: Mesh, merchant: Merchant, number: str
) -> None:
    manual: dict[str, Any] = {"partialApproval": "accepted", "captureMethod": "manual"}
    intent, charged = await _charged(merchant, number, 5005, **manual)
    other, _ = await _charged(merchant, number, 5007, **manual)

    more = await merchant.capture(intent["id"], {"amountToCaptureInCents": 2503})
    captured = await merchant.capture(intent["id"])
    canceled = await merchant.call("POST", f"/payment-intents/{other['id']}/cancel")

    assert (intent["status"], intent["amountAuthorizedInCents"]) == ("authorized", 2502)
    assert intent["amountCapturedInCents"] == charged["amountCapturedInCents"] == 0
    assert charged["amountApprovedInCents"] == 2502
    assert (more.status, more.error["code"]) == (400, "parameter_invalid")
    assert more.error["param"] == "amountToCaptureInCents"
    assert "2502" in more.error["message"]
    assert (captured.json["status"], captured.json["amountCapturedInCents"]) == ("succeeded", 2502)
    row = await _books(mesh, merchant, intent)
    assert (row["held"], row["captured"], row["reversed"]) == (0, 2502, False)
    assert (canceled.json["status"], canceled.json["amountAuthorizedInCents"]) == ("canceled", 2503)
    released = await _until(
        lambda: _books(mesh, merchant, other), lambda row: bool(row["reversed"])
    )
    assert (released["held"], released["captured"]) == (0, 0)
    assert released["messages"][-1]["amount"] == f"{2503:012d}"


@pytest.mark.parametrize(
    ("number", "end"), [("4000000000990160", "failed"), ("5200000000990165", "succeeded")]
)
async def test_a_part_whose_answer_is_lost_ends_as_the_network_says(
    mesh: Mesh, merchant: Merchant, number: str, end: str
) -> None:
    _, charged = await _charged(merchant, number, 5009, partialApproval="accepted")

    intent = await merchant.final_intent(charged["paymentIntentId"])

    row = await _until(
        lambda: _books(mesh, merchant, intent),
        lambda row: bool(row["reversed"]) == (end == "failed"),
    )
    part = 2504 if end == "succeeded" else 0
    assert charged["status"] == "pending_verification"
    assert intent["status"] == end
    assert intent["amountAuthorizedInCents"] == intent["amountCapturedInCents"] == part
    assert row["captured"] == part


async def test_webhooks_and_events_tell_what_was_authorized(merchant: Merchant) -> None:
    intent, _ = await _charged(merchant, HALF[0], 5011, partialApproval="accepted")

    async def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            await merchant.call("GET", "/events?type=payment.succeeded")
        ).json["data"]
        return found

    [event] = await _until(read, bool)
    assert event["data"]["object"] == intent
    assert event["data"]["object"]["amountAuthorizedInCents"] == 2505


async def test_another_word_for_parts_is_refused_by_name(merchant: Merchant) -> None:
    answer = await merchant.call(
        "POST",
        "/payment-intents",
        {"amountInCents": 100, "currency": "usd", "partialApproval": "maybe"},
    )

    assert (answer.status, answer.error["param"]) == (400, "partialApproval")


async def test_accepted_parts_match_their_lines_without_a_break(
    mesh: Mesh, merchant: Merchant
) -> None:
    for number in HALF:
        await _charged(merchant, number, 5013, partialApproval="accepted")
        held, _ = await _charged(
            merchant, number, 5015, partialApproval="accepted", captureMethod="manual"
        )
        assert (await merchant.capture(held["id"])).json["status"] == "succeeded"
    owner = merchant.keys.merchant_id
    await _until(
        lambda: asyncio.to_thread(mesh.query, "recon", SETTLED, owner),
        lambda rows: rows == [(4,)],
    )

    await asyncio.to_thread(mesh.run, "networks", "clear")
    lines = await _until(
        lambda: asyncio.to_thread(mesh.query, "recon", LINES, owner),
        lambda rows: [verdict for verdict, _ in rows] == ["matched"] * 4,
    )

    assert sorted(amount for _, amount in lines) == [2506, 2506, 2507, 2507]
    found = json.loads(await asyncio.to_thread(mesh.run, "breaks", "--json"))
    assert [one for one in found if one.get("ours", {}).get("merchantId") == owner] == []
    report = json.loads(await asyncio.to_thread(mesh.run, "report", "--json"))
    for row in report["rows"]:
        parts = [row[name] for name in ("matched", "waiting", "rejected")]
        parts += [part["theirs"] for part in row["breaks"]]
        for figure in ("lines", "amountMinor"):
            assert row["declared"][figure] == sum(part[figure] for part in parts), row
