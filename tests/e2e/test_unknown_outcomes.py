"""Every uncertain card on both networks ends without help, as the networks' books say."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.conftest import Delivery, Mesh
from tests.e2e.merchant import Merchant

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Card:
    """An uncertain card: what a charge of it says, how it ends, and what is said for it.

    messages: types of the messages that must be among the attempt's, in this order.
    """

    number: str
    at_once: str
    end: str
    messages: str

    @property
    def network(self) -> str:
        """Return the network that the card belongs to."""
        return "visa_sim" if self.number.startswith("4") else "mastercard_sim"


UNKNOWN = "pending_verification"
CARDS = [
    Card("4000000000990012", UNKNOWN, "failed", "0100 0420 0430"),  # the answer is lost
    Card("5200000000990017", UNKNOWN, "succeeded", "0100 0100 0110"),
    Card("4000000000990020", UNKNOWN, "failed", "0100 0420 0430"),  # the answer is late
    Card("5200000000990025", UNKNOWN, "succeeded", "0100 0100 0110"),
    Card("4000000000990038", "succeeded", "succeeded", "0100 0110"),  # the answer comes twice
    Card("5200000000990033", "succeeded", "succeeded", "0100 0110"),
    Card("4000000000990046", UNKNOWN, "failed", "0100 0420 0430"),  # never received
    Card("5200000000990041", UNKNOWN, "failed", "0100 0100 0110 0100 0110"),
    Card("4000000000990079", UNKNOWN, "failed", "0100 0420 0430"),  # a decline is lost
    Card("5200000000990074", UNKNOWN, "failed", "0100 0100 0110"),
    Card("4000000000990087", UNKNOWN, "failed", "0100 0420 0430"),  # the connection is closed
    Card("5200000000990082", UNKNOWN, "succeeded", "0100 0100 0110"),
    Card("4000000000990095", UNKNOWN, "failed", "0100 0420 0421 0421 0430"),  # three are lost
    Card("5200000000990090", UNKNOWN, "succeeded", "0100 0100 0100 0100 0110"),
    Card("4000000000990111", "succeeded", "succeeded", "0100 0110"),  # the answer is slow
    Card("5200000000990116", "succeeded", "succeeded", "0100 0110"),
    Card("4000000000990129", "failed", "failed", "0100 0110 0420 0430"),  # half is approved
    Card("5200000000990124", "failed", "failed", "0100 0110 0420 0430"),
    Card("4000000000990160", UNKNOWN, "failed", "0100 0420 0430"),  # half, the answer is lost
    Card("5200000000990165", UNKNOWN, "failed", "0100 0100 0110 0420 0430"),
]
CLOSING = {"4000000000990087", "5200000000990082"}


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment with an uncertain card, and how its transaction reads when all is over."""

    card: Card
    intent: dict[str, Any]
    transaction: dict[str, Any]

    @property
    def attempt(self) -> dict[str, Any]:
        """Return the one attempt of the transaction."""
        [attempt] = self.transaction["attempts"]["data"]
        return dict(attempt)


async def _pay(merchant: Merchant, card: Card, amount: int) -> tuple[str, dict[str, Any]]:
    """Create and charge one payment; repeat each call with its key until it is answered."""
    created = await _until_answered(
        merchant, "/payment-intents", {"amountInCents": amount, "currency": "usd"}
    )
    charged = await _until_answered(
        merchant,
        f"/payment-intents/{created['id']}/transactions",
        {
            "type": "charge",
            "card": {"number": card.number, "exp_month": 12, "exp_year": 2034, "cvc": "123"},
        },
    )
    return created["id"], charged


async def _until_answered(merchant: Merchant, path: str, body: object) -> dict[str, Any]:
    key = str(uuid.uuid4())
    for _ in range(200):
        try:
            answer = await merchant.call("POST", path, body, key=key)
        except (aiohttp.ClientError, TimeoutError):
            answer = None
        if answer is not None and answer.status == 200:
            found: dict[str, Any] = answer.json
            return found
        await asyncio.sleep(0.5)
    pytest.fail(f"{path}: {answer and answer.content!r}")


async def _final(merchant: Merchant, card: Card, intent_id: str) -> Payment:
    intent = await merchant.final_intent(intent_id)
    path = f"/payment-intents/{intent_id}/transactions/{intent['latestTransactionId']}"
    for _ in range(240):
        read = await merchant.call("GET", path)
        if read.status == 200:  # else a service that was killed is not back yet
            payment = Payment(card, intent, read.json)
            if payment.attempt.get("reversal") in {None, "acknowledged"}:
                return payment
        await asyncio.sleep(0.25)
    pytest.fail(f"a reversal has no end: {read.content!r}")


def _books_agree(mesh: Mesh, payments: Sequence[Payment]) -> None:
    """Check that what stands at the networks is what the merchant was told."""
    books = {row["rrn"]: row for row in mesh.ledger()}
    for payment in payments:
        book = books.get(payment.attempt["rrn"])
        stands = book is not None and book["approved"] and not book["reversed"]
        is_paid = payment.intent["status"] == "succeeded"
        assert stands == is_paid, (payment, book)
        assert payment.transaction["status"] == payment.intent["status"]
        assert payment.attempt["network"] == payment.card.network
        if stands and book is not None:
            assert book["amount"] == payment.intent["amountCapturedInCents"]


def _in_order(expected: str, found: list[str]) -> bool:
    rest = iter(found)
    return all(mti in rest for mti in expected.split())


async def _told(
    got: asyncio.Queue[Delivery], secret: str, intent_ids: set[str]
) -> dict[str, set[str]]:
    """Return the final events by intent, once each of them has one."""
    told: dict[str, set[str]] = {}
    async with asyncio.timeout(60):
        while told.keys() != intent_ids:
            headers, content = await got.get()
            event = Webhook(secret).verify(content, headers)
            if event["type"] in {"payment.succeeded", "payment.failed"}:
                told.setdefault(event["data"]["object"]["id"], set()).add(event["type"])
    return told


async def test_every_uncertain_card_ends_as_the_networks_books_say(
    mesh: Mesh, merchant: Merchant, receiver: tuple[str, asyncio.Queue[Delivery]]
) -> None:
    url, got = receiver
    endpoint = await merchant.call(
        "POST", "/webhook-endpoints", {"url": url, "enabledEvents": ["*"]}
    )
    assert endpoint.status == 200, endpoint.content
    # A closed connection takes along what others have sent on it, so those cards go first.
    cards = sorted(CARDS, key=lambda card: card.number not in CLOSING)
    closing = [await _pay(merchant, card, 30_000) for card in cards[: len(CLOSING)]]
    others = await asyncio.gather(*(_pay(merchant, card, 30_000) for card in cards[len(CLOSING) :]))
    paid = [*closing, *others]

    payments = await asyncio.gather(
        *(_final(merchant, card, paid[number][0]) for number, card in enumerate(cards))
    )
    told = await _told(got, endpoint.json["secret"], {intent_id for intent_id, _ in paid})

    for payment, (intent_id, charged) in zip(payments, paid, strict=True):
        card = payment.card
        assert (charged["status"], payment.intent["status"]) == (card.at_once, card.end), card
        said = [message["mti"] for message in payment.attempt["messages"]]
        assert _in_order(card.messages, said), (card, said, payment)
        assert told[intent_id] == {f"payment.{card.end}"}, card
        assert card.number not in json.dumps(payment.transaction)
    _books_agree(mesh, payments)


async def test_reconciliation_and_transactions_killed_in_the_middle_change_no_outcome(
    mesh: Mesh, merchant: Merchant
) -> None:
    cards = CARDS * 2
    paying = [
        asyncio.create_task(_pay(merchant, card, 40_000 + 2 * number))
        for number, card in enumerate(cards)
    ]
    for _ in range(300):
        if len([row for row in mesh.ledger() if 40_000 <= row["amount"] < 41_000]) > len(CARDS):
            break
        await asyncio.sleep(0.02)

    await mesh.killed("txn_svc", "recon_svc")
    await mesh.killed("recon_svc")
    await mesh.killed("txn_svc")
    paid = await asyncio.gather(*paying)

    payments = await asyncio.gather(
        *(_final(merchant, card, paid[number][0]) for number, card in enumerate(cards))
    )
    assert {payment.intent["status"] for payment in payments} <= {"succeeded", "failed"}
    _books_agree(mesh, payments)


async def test_nothing_is_left_open_when_all_is_quiet(mesh: Mesh) -> None:
    for _ in range(240):
        left = [
            *mesh.query("txn", "select id from transactions where status like 'pending%%'"),
            *mesh.query("txn", "select id from attempts where reversal in ('pending', 'overdue')"),
            *mesh.query("recon", "select id from attempts where resolve_after is not null"),
            *mesh.query("intent", "select id from payment_intents where status = 'processing'"),
        ]
        if not left:
            return
        await asyncio.sleep(0.5)
    pytest.fail(f"left open: {left}")
