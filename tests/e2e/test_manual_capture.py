"""Authorize now, capture later: the story through the edge, and everything that is refused."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import (
    ANSWER_LOST,
    APPROVED,
    APPROVED_MASTERCARD,
    CAPTURE_UNANSWERED,
    DECLINED,
    FIRST_CAPTURE_REFUSED,
    Merchant,
)

pytestmark = pytest.mark.e2e

READS_MAX = 150

Read = TypeVar("Read")


async def _authorized(
    merchant: Merchant, amount: int = 1099, number: str = APPROVED
) -> dict[str, Any]:
    intent = await merchant.create_intent(amount, captureMethod="manual")
    charged = await merchant.charge(intent["id"], number)
    assert charged.json["status"] == "succeeded", charged.content
    return await merchant.intent(intent["id"])


async def _until(read: Callable[[], Awaitable[Read]], is_so: Callable[[Read], bool]) -> Read:
    """Read until it is so, and return what was read."""
    for _ in range(READS_MAX):
        if is_so(found := await read()):
            return found
        await asyncio.sleep(0.2)
    pytest.fail(f"still {found}")


async def _becomes(merchant: Merchant, intent_id: str, status: str) -> dict[str, Any]:
    return await _until(
        lambda: merchant.intent(intent_id), lambda intent: bool(intent["status"] == status)
    )


async def _events(merchant: Merchant, query: str, count: int) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await merchant.call("GET", f"/events{query}")).json["data"]
        return found

    return await _until(read, lambda events: len(events) >= count)


def _books(mesh: Mesh, amount: int) -> dict[str, Any]:
    [row] = [row for row in mesh.ledger() if row["amount"] == amount]
    return row


async def _reversed(mesh: Mesh, amount: int) -> dict[str, Any]:
    return await _until(
        lambda: asyncio.to_thread(_books, mesh, amount), lambda row: bool(row["reversed"])
    )


@pytest.mark.parametrize(("number", "amount"), [(APPROVED, 41_001), (APPROVED_MASTERCARD, 41_002)])
async def test_held_funds_are_captured_in_part_and_the_rest_is_released(
    mesh: Mesh, merchant: Merchant, number: str, amount: int
) -> None:
    intent = await _authorized(merchant, amount, number)
    held = _books(mesh, amount)
    key = str(uuid.uuid4())

    captured = await merchant.capture(intent["id"], {"amountToCaptureInCents": 700}, key=key)
    again = await merchant.capture(intent["id"], {"amountToCaptureInCents": 700}, key=key)

    assert (intent["status"], intent["captureMethod"]) == ("authorized", "manual")
    assert intent["captureBefore"] > intent["created"]
    assert (held["held"], held["captured"]) == (amount, 0)
    assert captured.status == 200, captured.content
    assert captured.json["status"] == "succeeded"
    assert captured.json["amountCapturedInCents"] == 700
    assert captured.json["amountInCents"] == amount
    assert again.content == captured.content
    assert again.headers["idempotent-replayed"] == "true"
    assert captured.json == await merchant.intent(intent["id"])
    row = _books(mesh, amount)
    assert (row["held"], row["captured"], row["reversed"]) == (0, 700, False)
    path = f"/payment-intents/{intent['id']}/transactions/{intent['latestTransactionId']}"
    transaction = (await merchant.call("GET", path)).json
    assert (transaction["amountInCents"], transaction["amountCapturedInCents"]) == (amount, 700)
    kinds = [attempt["kind"] for attempt in transaction["attempts"]["data"]]
    assert kinds == ["authorization", "capture"]


async def test_every_step_is_told_in_order(merchant: Merchant) -> None:
    intent = await _authorized(merchant)
    await merchant.capture(intent["id"])

    events = await _events(merchant, "", 5)
    told = sorted((event["data"]["version"], event["type"]) for event in events)
    assert told == [
        (1, "payment.created"),
        (2, "payment.processing"),
        (3, "payment.authorized"),
        (4, "payment.processing"),
        (5, "payment.succeeded"),
    ]


async def test_a_refused_capture_is_told_and_may_be_tried_again(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await _authorized(merchant, 41_007, FIRST_CAPTURE_REFUSED)

    refused = await merchant.capture(intent["id"], {"amountToCaptureInCents": 700})
    [event] = await _events(merchant, "?type=payment.capture_failed", 1)
    captured = await merchant.capture(intent["id"], {"amountToCaptureInCents": 600})

    assert (refused.status, refused.json["status"]) == (200, "authorized")
    assert refused.json["lastFailure"]["declineCode"] == "do_not_honor"
    assert event["data"]["object"] == refused.json
    assert (captured.json["status"], captured.json["amountCapturedInCents"]) == ("succeeded", 600)
    assert _books(mesh, 41_007)["captured"] == 600
    path = f"/payment-intents/{intent['id']}/transactions/{intent['latestTransactionId']}"
    attempts = (await merchant.call("GET", path)).json["attempts"]["data"]
    assert [(each.get("captureNumber"), each["status"]) for each in attempts] == [
        *((None, "succeeded"), (1, "failed"), (2, "succeeded")),
    ]
    assert attempts[1]["failure"]["code"] == "card_declined"


async def test_a_cancel_releases_held_funds(mesh: Mesh, merchant: Merchant) -> None:
    intent = await _authorized(merchant, 41_003)

    canceled = await merchant.call("POST", f"/payment-intents/{intent['id']}/cancel")
    row = await _reversed(mesh, 41_003)
    captured = await merchant.capture(intent["id"])

    assert canceled.json["status"] == "canceled"
    assert (row["held"], row["captured"]) == (0, 0)
    assert [message["mti"] for message in row["messages"]] == ["0100", "0420"]
    assert captured.error["code"] == "payment_intent_unexpected_state"


async def test_a_capture_without_an_answer_is_processing_until_the_network_acknowledges(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await _authorized(merchant, 41_004, CAPTURE_UNANSWERED)

    captured = await merchant.capture(intent["id"])
    canceled = await merchant.call("POST", f"/payment-intents/{intent['id']}/cancel")
    paid = await _becomes(merchant, intent["id"], "succeeded")

    row = _books(mesh, 41_004)
    assert (captured.status, captured.json["status"]) == (200, "processing")
    assert canceled.error["code"] == "payment_intent_unexpected_state"
    assert paid["amountCapturedInCents"] == 41_004
    assert (row["captured"], row["reversed"]) == (41_004, False)
    assert [message["mti"] for message in row["messages"]] == ["0100", "0220", "0221", "0221"]


async def test_an_unanswered_authorization_is_undone_and_never_held(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await merchant.create_intent(41_005, captureMethod="manual")

    charged = await merchant.charge(intent["id"], ANSWER_LOST)
    captured = await merchant.capture(intent["id"])
    failed = await _becomes(merchant, intent["id"], "failed")

    assert charged.json["status"] == "pending_verification"
    assert captured.error["code"] == "payment_intent_unexpected_state"
    assert "captureBefore" not in failed
    assert _books(mesh, 41_005)["reversed"] is True


async def test_an_authorization_that_lapses_is_told_canceled_and_released(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await _authorized(merchant, 41_006)

    for due in ("due", "due = now(), capture_before"):  # time passes: a warning, and then the end
        mesh.query(
            "intent",
            f"update payment_intents set {due} = now() where id = %s returning id",  # noqa: S608
            intent["id"],
        )
        await _events(merchant, "?type=payment.authorization_expiring", 1)
    await _becomes(merchant, intent["id"], "canceled")

    assert (await _reversed(mesh, 41_006))["captured"] == 0
    await _events(merchant, "?type=payment.canceled", 1)


async def test_capture_states_are_listed_as_merchants_know_them(merchant: Merchant) -> None:
    intent = await _authorized(merchant)

    listed = await merchant.call("GET", "/payment-intents?status=authorized")

    assert [row["id"] for row in listed.json["data"]] == [intent["id"]]
    assert listed.json["data"][0] == intent


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"amountToCaptureInCents": 0}, "parameter_invalid", "amountToCaptureInCents"),
        ({"amountToCaptureInCents": -1}, "parameter_invalid", "amountToCaptureInCents"),
        ({"amountToCaptureInCents": 1100}, "parameter_invalid", "amountToCaptureInCents"),
        ({"amountToCaptureInCents": "700"}, "parameter_invalid", "amountToCaptureInCents"),
        ({"amountToCaptureInCents": None}, "parameter_invalid", "amountToCaptureInCents"),
        ({"amountToCaptureInCents": 7.5}, "parameter_invalid", "amountToCaptureInCents"),
        ({"amountInCents": 700}, "parameter_unknown", "amountInCents"),
    ],
)
async def test_a_bad_capture_is_refused_by_name_and_the_funds_stay_held(
    merchant: Merchant, body: dict[str, object], code: str, param: str
) -> None:
    intent = await _authorized(merchant)
    key = str(uuid.uuid4())

    refused = await merchant.capture(intent["id"], body, key=key)

    assert refused.status == 400, refused.content
    assert (refused.error["code"], refused.error["param"]) == (code, param)
    assert await merchant.intent(intent["id"]) == intent
    captured = await merchant.capture(intent["id"], key=key)  # its key is still free
    assert captured.json["status"] == "succeeded"


async def test_what_is_not_authorized_can_t_be_captured(merchant: Merchant) -> None:
    created = await merchant.create_intent(captureMethod="manual")
    declined = await merchant.create_intent(captureMethod="manual")
    await merchant.charge(declined["id"], DECLINED)
    automatic = await merchant.create_intent()
    await merchant.charge(automatic["id"])
    twice = await _authorized(merchant)
    await merchant.capture(twice["id"])

    for intent in (created, declined, automatic, twice):
        before = await merchant.intent(intent["id"])
        refused = await merchant.capture(intent["id"])
        assert refused.status == 400
        assert refused.error["code"] == "payment_intent_unexpected_state"
        assert await merchant.intent(intent["id"]) == before


async def test_a_capture_key_with_another_amount_is_refused(merchant: Merchant) -> None:
    intent = await _authorized(merchant)
    key = str(uuid.uuid4())
    await merchant.capture(intent["id"], {"amountToCaptureInCents": 700}, key=key)

    refused = await merchant.capture(intent["id"], {"amountToCaptureInCents": 701}, key=key)

    assert refused.error["code"] == "idempotency_key_reused"


async def test_an_authorized_intent_takes_no_second_charge(merchant: Merchant) -> None:
    intent = await _authorized(merchant)

    refused = await merchant.charge(intent["id"])

    assert refused.error["code"] == "payment_intent_unexpected_state"
