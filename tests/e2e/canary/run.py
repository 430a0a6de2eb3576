"""A whole run with canaries: what a merchant, a browser and bad luck do with a card."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp

from tests.e2e.browser import JSON, Browser, charge_token
from tests.e2e.canary.conftest import CopiedMesh
from tests.e2e.merchant import ANSWER_LOST, DECLINED, Answer, Merchant, card

CANARY, CANARY_MASTERCARD, CVC = "4716935082467139", "5462389172506385", "739"
HALF_APPROVED = "4000000000990129"
# Cards by whose numbers the simulated networks misbehave are looked for as well.
TEST_CARDS = [DECLINED, ANSWER_LOST, HALF_APPROVED]
PANS = [CANARY, CANARY_MASTERCARD, *TEST_CARDS]
GROUPED = " ".join(CANARY[at : at + 4] for at in range(0, 16, 4))
MARKER = "canary-marker-7f3a9c"
"""Stands in a description, so that it shows which artefacts a merchant's text gets into."""


async def until_all_answer(merchant: Merchant) -> None:
    """Wait until Envoy has seen that the services are up."""
    intents, hooks = "/payment-intents", "/webhook-endpoints"
    for path in (intents, f"{intents}/pi_1/transactions", hooks):
        for _ in range(150):
            if (await merchant.call("GET", path)).status != 503:
                break
            await asyncio.sleep(0.2)


async def charge(
    merchant: Merchant, number: str = CANARY, **fields: Any
) -> tuple[dict[str, Any], Answer]:
    """Create an intent and charge this card for it; return the intent and the answer."""
    intent = await merchant.create_intent(1234, description=MARKER, **fields)
    return intent, await _charge(merchant, intent["id"], number)


async def _charge(merchant: Merchant, intent_id: str, number: str = CANARY) -> Answer:
    return await merchant.call(
        "POST",
        f"/payment-intents/{intent_id}/transactions",
        {"type": "charge", "card": card(number, cvc=CVC)},
        key=str(uuid.uuid4()),
    )


async def pay_in_all_ways(merchant: Merchant) -> None:
    """Approved, declined, approved in part, unanswered; held and captured, held and let go."""
    outcomes = await asyncio.gather(*(charge(merchant, number) for number in PANS))

    assert [answer.json["status"] for _, answer in outcomes] == [
        "succeeded",
        "succeeded",
        "failed",
        "pending_verification",
        "failed",
    ]
    for begun in (True, False):
        held, _ = await charge(merchant, captureMethod="manual")
        if begun:
            body = {"amountToCaptureInCents": 1000}
            assert (await merchant.capture(held["id"], body)).status == 200
        else:
            path = f"/payment-intents/{held['id']}/cancel"
            assert (await merchant.call("POST", path)).json["status"] == "canceled"


async def pay_in_a_browser(merchant: Merchant) -> None:
    """A token is charged, another is left, and a browser sends what it must not."""
    browser = Browser(merchant)
    intent = await merchant.create_intent(1234)
    token = await browser.token(intent, number=CANARY, cvc=CVC)
    await browser.token(intent, number=CANARY_MASTERCARD, cvc=CVC)
    refused = [
        await browser.send(number=CANARY, cvc=CVC),
        await browser.send(
            paymentIntentId=CANARY, clientSecret=intent["clientSecret"], encryptedCard=CANARY
        ),
        await browser.send(paymentIntentId=intent["id"], clientSecret=CANARY, encryptedCard=CANARY),
        await browser.ask(intent, CANARY),
        await browser.ask(intent, await browser.encrypt(card(CANARY, cvc=CANARY))),
        await browser.ask(intent, await browser.encrypt(card(CANARY) | {"nonce": CANARY})),
        await browser.ask(intent, await browser.encrypt(card(CANARY) | {CANARY: CVC})),
    ]

    assert {400, 404} >= {answer.status for answer in refused}
    assert (await charge_token(merchant, intent["id"], token)).json["status"] == "succeeded"


def _bodies(intent_id: str) -> Iterator[tuple[str, object]]:
    money = {"amountInCents": 100, "currency": "usd"}
    for text in (CANARY, GROUPED, f"card: {CANARY}, cvc: {CVC}"):
        yield "/payment-intents", money | {"description": text}
        yield "/payment-intents", money | {"metadata": {"note": text}}
        yield "/payment-intents", money | {"metadata": {text: "note"}}
        yield "/payment-intents", money | {text: "note"}
        yield "/payment-intents", money | {"card": {"number": text, "cvc": CVC}}
        yield "/payment-intents", money | {"currency": text}
    yield "/payment-intents", money | {"amountInCents": int(CANARY)}
    yield "/webhook-endpoints", {"url": f"https://shop.example/{CANARY}", "enabledEvents": ["*"]}
    yield (
        "/webhook-endpoints",
        {"url": "https://shop.example/", "enabledEvents": ["*"], "description": CANARY},
    )
    path = f"/payment-intents/{intent_id}/transactions"
    yield path, {"type": CANARY, "card": card(CANARY, cvc=CVC)}
    yield path, {"type": "charge", "card": {"token": CANARY}}
    yield path, {"type": "charge", "card": card(cvc=CANARY)}
    yield path, {"type": "charge", "card": card(exp_month=int(CANARY))}
    yield path, {"type": "charge", "card": card(f"{GROUPED}")}
    yield path, {"type": "charge", "card": card(CANARY, cvc=CVC) | {CANARY: CVC}}


async def send_it_where_it_does_not_belong(merchant: Merchant) -> list[Answer]:
    """Send a card number in every part of a request; return the answers, which are to be 4xx."""
    intent_id = (await merchant.create_intent(1234))["id"]
    create, charges = "/payment-intents", f"/payment-intents/{intent_id}/transactions"
    body = {"type": "charge", "card": card(CANARY, cvc=CVC)}
    whole = json.dumps(body).encode()
    encoded = "".join(f"%{ord(digit):x}" for digit in CANARY)
    calls: list[Awaitable[Answer]] = [
        merchant.call("POST", path, wrong, key=str(uuid.uuid4()))
        for path, wrong in _bodies(intent_id)
    ]
    calls += [
        merchant.call("POST", charges, content=content, key=str(uuid.uuid4()))
        for content in (whole[:-1], whole[:-9], b"," + whole, whole * 2, CANARY.encode() + b"}")
    ]
    for text in (CANARY, GROUPED.replace(" ", "/"), GROUPED.replace(" ", "%20"), encoded):
        calls += [
            merchant.call("GET", f"/payment-intents/{text}"),
            merchant.call("GET", f"/{text}"),
            merchant.call("POST", f"/payment-intents/{text}/cancel"),
            merchant.call("GET", f"/payment-intents?startingAfter={text}"),
            merchant.call("GET", f"/payment-intents?{text}=1"),
            merchant.call("POST", f"/payment-intents?number={text}", {}),
        ]
    calls += [
        merchant.call("POST", charges, body, key=CANARY),
        merchant.call("POST", charges, body, key=f"order {GROUPED}"),
        merchant.send("POST", create, whole, {"Authorization": f"Bearer {CANARY}", **JSON}),
        merchant.send("POST", create, whole, {"Authorization": CANARY, "Cookie": CANARY}),
        *(
            merchant.call("POST", create, body, headers={name: CANARY})
            for name in ("X-Request-Nonce", "X-Signature", "X-Request-Timestamp")
        ),
        *(
            merchant.call(
                "GET", "/payment-intents/pi_1", headers={name: CANARY, f"X-{CANARY}": "1"}
            )
            for name in ("X-Card", "User-Agent", "Referer", "X-Request-Id", "traceparent")
        ),
    ]
    return [await call for call in calls]


async def charge_while_it_dies(mesh: CopiedMesh, merchant: Merchant, process: str) -> None:
    """Kill a process among charges of the canary, and wait until charges work again."""
    charges = [asyncio.create_task(_tried(lambda: charge(merchant))) for _ in range(12)]
    await asyncio.sleep(0.05)
    pid = mesh.process(process)["pid"]
    os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*charges)
    await mesh.healthy(process, other_than=pid)
    for _ in range(150):
        answered = await _tried(lambda: charge(merchant))
        if answered is not None and answered[1].status == 200:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"no charge is answered after {process} died")


async def _tried(
    call: Callable[[], Awaitable[tuple[dict[str, Any], Answer]]],
) -> tuple[dict[str, Any], Answer] | None:
    try:
        return await call()
    except (aiohttp.ClientError, TimeoutError, AssertionError):
        return None
