"""What must hold when requests meet: one key, one intent, one message to the network."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED_MASTERCARD, SLOW_APPROVAL, Merchant

pytestmark = pytest.mark.e2e


async def test_fifty_identical_creates_make_one_intent(mesh: Mesh, merchant: Merchant) -> None:
    key = str(uuid.uuid4())
    body = {"amountInCents": 4200, "currency": "usd"}

    answers = await asyncio.gather(
        *(merchant.call("POST", "/payment-intents", body, key=key) for _ in range(50))
    )

    answered = [answer for answer in answers if answer.status == 200]
    assert answered
    assert len({answer.content for answer in answered}) == 1
    in_use = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in in_use} <= {409}
    assert {answer.error["code"] for answer in in_use} <= {"idempotency_key_in_use"}
    [(count,)] = mesh.query(
        "intent",
        "select count(*) from payment_intents where merchant_id = %s",
        merchant.keys.merchant_id,
    )
    assert count == 1


async def test_of_two_different_charges_on_one_intent_one_is_refused(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await merchant.create_intent(4301)

    answers = await asyncio.gather(
        merchant.charge(intent["id"]), merchant.charge(intent["id"], APPROVED_MASTERCARD)
    )

    assert sorted(answer.status for answer in answers) == [200, 400]
    [refused] = [answer for answer in answers if answer.status == 400]
    assert refused.error["code"] == "payment_intent_unexpected_state"
    assert len([row for row in mesh.ledger() if row["amount"] == 4301]) == 1


async def test_one_charge_key_in_flight_twice_sends_one_message(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await merchant.create_intent(4402)
    key = str(uuid.uuid4())

    answers = await asyncio.gather(
        *(merchant.charge(intent["id"], SLOW_APPROVAL, key=key) for _ in range(5))
    )

    answered = [answer for answer in answers if answer.status == 200]
    assert len({answer.content for answer in answered}) == 1
    in_use = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in in_use} <= {409}
    assert {answer.error["code"] for answer in in_use} <= {"idempotency_key_in_use"}
    [row] = [row for row in mesh.ledger() if row["amount"] == 4402]
    assert len([message for message in row["messages"] if message["mti"] == "0100"]) == 1
