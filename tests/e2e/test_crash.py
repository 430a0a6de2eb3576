"""A killed service loses nothing and guesses nothing: our books equal the network's own."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid

import aiohttp
import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Answer, Merchant

pytestmark = pytest.mark.e2e

PAYMENTS = 200


async def _pay(merchant: Merchant, amount: int, paid: dict[str, int]) -> None:
    """Create and charge one payment; an answer that does not come is nobody's word."""
    try:
        created = await merchant.call(
            "POST", "/payment-intents", {"amountInCents": amount, "currency": "usd"}
        )
        if created.status == 200:
            paid[created.json["id"]] = amount
            await merchant.charge(created.json["id"], key=str(uuid.uuid4()))
    except (aiohttp.ClientError, TimeoutError):
        return


async def _read(merchant: Merchant, path: str) -> Answer:
    """Return what stands there, as soon as the edge has seen that the service is back."""
    for _ in range(50):
        answer = await merchant.call("GET", path)
        if answer.status == 200:
            return answer
        await asyncio.sleep(0.2)
    pytest.fail(f"{path} can't be read: {answer.content!r}")


async def _until_charges_work(merchant: Merchant) -> None:
    """Wait until the edge has seen that what an earlier test killed is back."""
    for _ in range(50):
        intent = await merchant.create_intent(100)
        if (await merchant.charge(intent["id"])).status == 200:
            return
        await asyncio.sleep(0.2)
    pytest.fail("no charge is answered")


@pytest.mark.parametrize("service", ["txn_svc", "intent_svc"])
async def test_a_service_killed_among_200_payments_leaves_books_that_agree(
    mesh: Mesh, merchant: Merchant, service: str
) -> None:
    await _until_charges_work(merchant)
    base = 1_000_000 if service == "txn_svc" else 2_000_000
    paid: dict[str, int] = {}
    gate = asyncio.Semaphore(16)
    a_third_done = asyncio.Barrier(PAYMENTS // 3 + 1)

    async def one(number: int) -> None:
        async with gate:
            await _pay(merchant, base + number, paid)
        if number < PAYMENTS // 3:
            await a_third_done.wait()

    payments = [asyncio.create_task(one(number)) for number in range(PAYMENTS)]
    await a_third_done.wait()
    await mesh.killed(service)
    await asyncio.gather(*payments)
    intents = await asyncio.gather(*(merchant.final_intent(intent_id) for intent_id in paid))

    settled = [intent["status"] for intent in intents]
    approved = {row["amount"] for row in mesh.ledger() if row["approved"] and not row["reversed"]}
    assert len(paid) > PAYMENTS // 3
    for intent, amount in zip(intents, paid.values(), strict=True):
        assert (amount in approved) == (intent["status"] == "succeeded"), intent
    assert settled.count("succeeded") >= PAYMENTS // 3


async def test_a_service_that_is_down_answers_503_with_the_error_body(
    mesh: Mesh, merchant: Merchant
) -> None:
    process = mesh.process("webhook_svc")
    os.kill(process["pid"], signal.SIGSTOP)
    os.kill(process["pid"], signal.SIGKILL)

    answers = [await merchant.call("GET", "/webhook-endpoints") for _ in range(5)]
    await mesh.healthy("webhook_svc", other_than=process["pid"])

    for answer in answers:
        assert answer.status in {200, 503}
        if answer.status == 503:
            assert answer.error["type"] == "api_error"
    assert 503 in {answer.status for answer in answers}
    await _read(merchant, "/webhook-endpoints")
