"""The fault harness's merchants are careful: one key for each wish, however often sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp

from tests.e2e.merchant import Answer, Keys, Merchant
from tests.faults.evidence import Step
from tests.faults.merchants import Merchants
from tests.faults.plan import Payment

CREATED = (200, {"id": "pi_1", "status": "created"})
SUCCEEDED = (200, {"id": "txn_1", "status": "succeeded"})
DECLINED = (200, {"id": "txn_1", "status": "failed"})
UNAVAILABLE = (503, {"error": {"code": "service_unavailable"}})
HELD = (400, {"error": {"code": "payment_intent_unexpected_state"}})
NO_ANSWER = None


@dataclass
class FakeMerchant:
    """Answers as it was told to, in this order, and keeps what it was asked."""

    answers: list[tuple[int, dict[str, Any]] | None]
    keys: Keys = field(default_factory=lambda: Keys("mer_1", "pk", "sk"))
    asked: list[tuple[str, object, str]] = field(default_factory=list)

    async def call(self, method: str, path: str, body: object, *, key: str) -> Answer:
        assert method == "POST"
        self.asked.append((path, body, key))
        answer = self.answers.pop(0)
        if answer is None:
            raise aiohttp.ServerDisconnectedError
        status, content = answer
        return Answer(status, {}, json.dumps(content).encode())


def a_payment(*, next_card: str | None = None, gives_up: bool = False) -> Payment:
    return Payment(0, 0, 0.0, 1099, "4000000000000002", next_card, gives_up)


async def _made(
    payment: Payment, answers: Sequence[tuple[int, dict[str, Any]] | None]
) -> tuple[Merchants, FakeMerchant]:
    fake = FakeMerchant([*answers])
    merchants = Merchants([cast("Merchant", fake)], seed=1)
    await merchants.make([payment])
    return merchants, fake


async def test_what_gets_no_answer_is_sent_again_under_its_key() -> None:
    merchants, fake = await _made(a_payment(), [UNAVAILABLE, CREATED, NO_ANSWER, SUCCEEDED])

    create, charge = merchants.requests
    assert [key for *_, key in fake.asked] == [create.key, create.key, charge.key, charge.key]
    assert (create.tries, charge.tries) == (2, 2)
    assert charge.told is not None
    assert charge.told.object_id == "txn_1"


async def test_a_decline_is_an_answer_and_the_next_card_has_a_key_of_its_own() -> None:
    merchants, fake = await _made(
        a_payment(next_card="4242424242424242"), [CREATED, DECLINED, HELD, SUCCEEDED]
    )

    assert [request.step for request in merchants.requests] == list(Step)
    assert len({request.key for request in merchants.requests}) == 3
    assert fake.asked[-1] == fake.asked[-2]


async def test_who_gives_up_asks_again_after_healing_and_goes_on() -> None:
    merchants, fake = await _made(a_payment(gives_up=True), [NO_ANSWER])
    [create] = merchants.requests
    assert (create.told, create.tries) == (None, 1)

    fake.answers = [UNAVAILABLE, CREATED, SUCCEEDED]
    await merchants.ask_again()

    assert create.told is None
    assert create.told_later is not None
    assert create.told_later.object_id == "pi_1"
    assert [request.step for request in merchants.requests] == [Step.CREATE, Step.CHARGE]


async def test_a_refusal_ends_the_payment() -> None:
    refused = (400, {"error": {"code": "parameter_invalid"}})

    merchants, _ = await _made(a_payment(), [refused])

    [create] = merchants.requests
    assert create.told is not None
    assert create.told.status == 400
