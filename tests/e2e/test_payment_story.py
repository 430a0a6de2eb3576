"""The story of the product: create, charge, read back, be told by webhook; and what lists say."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.conftest import Delivery, Mesh
from tests.e2e.merchant import (
    APPROVED_MASTERCARD,
    DECLINED,
    NEVER_RECEIVED_MASTERCARD,
    SLOW_APPROVAL,
    Merchant,
)

pytestmark = pytest.mark.e2e


async def test_a_payment_is_created_charged_read_back_and_told(
    mesh: Mesh, merchant: Merchant, receiver: tuple[str, asyncio.Queue[Delivery]]
) -> None:
    url, got = receiver
    endpoint = await merchant.call(
        "POST", "/webhook-endpoints", {"url": url, "enabledEvents": ["*"]}
    )
    assert endpoint.status == 200, endpoint.content

    intent = await merchant.create_intent(2599)
    charged = await merchant.charge(intent["id"])
    read = await merchant.intent(intent["id"])

    assert charged.status == 200, charged.content
    transaction = charged.json
    assert transaction["status"] == "succeeded"
    assert transaction["card"] == {
        "brand": "visa",
        "last4": "4242",
        "expMonth": 12,
        "expYear": 2034,
        "bin": "424242",
        "fingerprint": transaction["card"]["fingerprint"],
    }
    assert read["status"] == "succeeded"
    assert read["amountCapturedInCents"] == 2599
    assert read["latestTransactionId"] == transaction["id"]
    assert "clientSecret" not in read
    [row] = [row for row in mesh.ledger() if row["amount"] == 2599 and row["approved"]]
    assert row["reversed"] is False

    told = {}
    for _ in range(3):
        headers, content = await asyncio.wait_for(got.get(), timeout=30)
        event = Webhook(endpoint.json["secret"]).verify(content, headers)
        assert headers["webhook-id"] == event["id"]
        told[event["type"]] = event
    assert sorted(told) == ["payment.created", "payment.processing", "payment.succeeded"]
    assert told["payment.succeeded"]["data"]["object"] == read
    versions = {name: event["data"]["version"] for name, event in told.items()}
    assert versions == {"payment.created": 1, "payment.processing": 2, "payment.succeeded": 3}

    listed = await merchant.call("GET", "/events?type=payment.succeeded")
    assert [event["id"] for event in listed.json["data"]] == [told["payment.succeeded"]["id"]]
    deliveries = await merchant.call(
        "GET", f"/webhook-endpoints/{endpoint.json['id']}/deliveries?status=succeeded"
    )
    assert deliveries.json["data"][0]["attempts"][0]["httpStatus"] == 200


async def test_a_decline_is_an_answer_and_another_card_may_try_again(merchant: Merchant) -> None:
    intent = await merchant.create_intent()

    declined = await merchant.charge(intent["id"], DECLINED)
    failed = await merchant.intent(intent["id"])
    again = await merchant.charge(intent["id"], APPROVED_MASTERCARD)

    assert declined.status == 200
    assert declined.json["status"] == "failed"
    assert declined.json["failure"]["code"] == "card_declined"
    assert declined.json["failure"]["declineCode"]
    assert failed["status"] == "failed"
    assert failed["lastFailure"] == declined.json["failure"]
    assert again.json["status"] == "succeeded"
    assert again.json["card"]["brand"] == "mastercard"
    listed = await merchant.call("GET", f"/payment-intents/{intent['id']}/transactions")
    assert [row["status"] for row in listed.json["data"]] == ["succeeded", "failed"]
    assert "lastFailure" not in await merchant.intent(intent["id"])


async def test_a_lost_answer_is_unknown_and_never_guessed(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent(777)

    answer = await merchant.charge(intent["id"], NEVER_RECEIVED_MASTERCARD)
    meanwhile = (await merchant.intent(intent["id"]))["status"]
    second = await merchant.charge(intent["id"])

    assert answer.status == 200
    assert answer.json["status"] == "pending_verification"
    assert meanwhile == "processing"
    assert second.status == 400
    assert second.error["code"] == "payment_intent_unexpected_state"
    assert [row for row in mesh.ledger() if row["amount"] == 777] == []
    assert (await merchant.final_intent(intent["id"]))["status"] == "failed"


async def test_a_replay_returns_the_first_answer_byte_for_byte(
    mesh: Mesh, merchant: Merchant
) -> None:
    key = str(uuid.uuid4())
    body = {"amountInCents": 555, "currency": "eur", "metadata": {"b": "2", "a": "1"}}

    first = await merchant.call("POST", "/payment-intents", body, key=key)
    charged = await merchant.charge(first.json["id"], key=key)
    again = await merchant.call("POST", "/payment-intents", body, key=key)
    charged_again = await merchant.charge(first.json["id"], key=key)

    assert again.content == first.content
    assert charged_again.content == charged.content
    assert again.headers["idempotent-replayed"] == "true"
    assert charged_again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len([row for row in mesh.ledger() if row["amount"] == 555]) == 1


async def test_a_key_with_another_body_is_refused(merchant: Merchant) -> None:
    key = str(uuid.uuid4())
    intent = await merchant.create_intent(key=key)
    other = await merchant.call(
        "POST", "/payment-intents", {"amountInCents": 1, "currency": "usd"}, key=key
    )
    charge_key = str(uuid.uuid4())
    await merchant.charge(intent["id"], key=charge_key)
    other_card = await merchant.charge(intent["id"], APPROVED_MASTERCARD, key=charge_key)

    for answer in (other, other_card):
        assert answer.status == 400
        assert answer.error["type"] == "idempotency_error"
        assert answer.error["code"] == "idempotency_key_reused"


async def test_lists_page_through_everything_once(merchant: Merchant) -> None:
    made = [(await merchant.create_intent(100 + n))["id"] for n in range(7)]

    seen: list[str] = []
    cursor = ""
    while True:
        page = (await merchant.call("GET", f"/payment-intents?limit=3{cursor}")).json
        seen += [row["id"] for row in page["data"]]
        if not page["hasMore"]:
            break
        cursor = f"&startingAfter={seen[-1]}"

    assert seen == made[::-1]
    newer = await merchant.call("GET", f"/payment-intents?endingBefore={made[-3]}")
    assert [row["id"] for row in newer.json["data"]] == made[-2:][::-1]


async def test_a_canceled_intent_takes_no_charge(merchant: Merchant) -> None:
    intent = await merchant.create_intent()

    canceled = await merchant.call("POST", f"/payment-intents/{intent['id']}/cancel")
    charge = await merchant.charge(intent["id"])

    assert canceled.json["status"] == "canceled"
    assert charge.error["code"] == "payment_intent_unexpected_state"


async def test_a_slow_network_keeps_the_request_and_answers(merchant: Merchant) -> None:
    intent = await merchant.create_intent()

    answer = await merchant.charge(intent["id"], SLOW_APPROVAL)

    assert answer.json["status"] == "succeeded"


async def test_amounts_and_times_are_numbers_and_enums_bare_words(merchant: Merchant) -> None:
    intent = await merchant.create_intent()

    assert json.dumps(intent["amountInCents"]) == "1099"
    assert isinstance(intent["created"], int)
    assert (intent["status"], intent["captureMethod"], intent["mode"]) == (
        "created",
        "automatic",
        "test",
    )
    assert intent["clientSecret"].startswith(intent["id"] + "_secret_")
