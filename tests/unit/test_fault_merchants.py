"""The fault harness's merchants are careful: one key for each wish, however often sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import aiohttp
import pytest
from joserfc.jwk import ECKey

from tests.e2e.merchant import Answer, Keys, Merchant
from tests.faults.evidence import Step
from tests.faults.merchants import Merchants
from tests.faults.plan import Ending, Payment

CREATED = (200, {"id": "pi_1", "status": "created", "clientSecret": "secret"})
SUCCEEDED = (200, {"id": "txn_1", "status": "succeeded", "amountApprovedInCents": 549})
DECLINED = (200, {"id": "txn_1", "status": "failed"})
UNAVAILABLE = (503, {"error": {"code": "service_unavailable"}})
HELD = (400, {"error": {"code": "payment_intent_unexpected_state"}})
TAKEN = (200, {"id": "pi_1", "status": "processing"})
UNKNOWN = (200, {"id": "txn_1", "status": "pending_verification"})
PROCESSING = (200, {"id": "pi_1", "status": "processing"})
AUTHORIZED = (200, {"id": "pi_1", "status": "authorized", "amountAuthorizedInCents": 549})
CANCELED = (200, {"id": "pi_1", "status": "canceled"})
NO_ANSWER = None
TOKEN_LOST = (400, {"error": {"code": "card_token_unknown"}})


@dataclass
class FakeMerchant:
    """Answers as it was told to, in this order, and keeps what it was asked."""

    answers: list[tuple[int, dict[str, Any]] | None]
    keys: Keys = field(default_factory=lambda: Keys("mer_1", "pk", "sk"))
    asked: list[tuple[str, object, str | None]] = field(default_factory=list)
    browser_answers: list[tuple[int, dict[str, Any]] | None] = field(default_factory=list)

    async def call(self, method: str, path: str, body: object, *, key: str | None = None) -> Answer:
        assert (key is None) == (method == "GET")
        self.asked.append((path, body, key))
        return self._next(self.answers)

    async def send(self, method: str, path: str, content: bytes, *_: object) -> Answer:
        """Answer a browser: with a key to encrypt with, or as it was told to."""
        if (method, path) == ("GET", "/card-encryption-keys"):
            jwk = ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "kid_1"}
            return Answer(200, {}, json.dumps({"keys": [jwk]}).encode())
        assert json.loads(content)["clientSecret"] == "secret"
        return self._next(self.browser_answers)

    def _next(self, answers: list[tuple[int, dict[str, Any]] | None]) -> Answer:
        answer = answers.pop(0)
        if answer is None:
            raise aiohttp.ServerDisconnectedError
        status, content = answer
        return Answer(status, {}, json.dumps(content).encode())


def a_payment(*, next_card: str | None = None, gives_up: bool = False) -> Payment:
    return Payment(0, 0, 0.0, 1099, "4000000000000002", next_card, gives_up)


def a_hold(ending: Ending) -> Payment:
    return replace(a_payment(), is_manual=True, ending=ending)


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


async def test_who_pays_by_token_gets_one_however_often_and_another_when_it_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.faults.merchants.BACKOFF_S_MAX", 0.001)
    fake = FakeMerchant([CREATED, NO_ANSWER, TOKEN_LOST, SUCCEEDED])
    fake.browser_answers = [NO_ANSWER, UNAVAILABLE, (200, {"id": "tok_1"}), (200, {"id": "tok_2"})]
    merchants = Merchants([cast("Merchant", fake)], seed=1)

    await merchants.make([replace(a_payment(), by_token=True)])

    _, lost, charge = merchants.requests
    charged = [(key, body["card"]) for path, body, key in fake.asked if "transactions" in path]  # type: ignore[index]
    assert charged == [(lost.key, {"token": "tok_1"})] * 2 + [(charge.key, {"token": "tok_2"})]
    assert lost.key != charge.key
    assert charge.told is not None
    assert charge.told.object_id == "txn_1"


async def test_a_decline_is_an_answer_and_the_next_card_has_a_key_of_its_own() -> None:
    merchants, fake = await _made(
        a_payment(next_card="4242424242424242"), [CREATED, DECLINED, HELD, SUCCEEDED]
    )

    assert [request.step for request in merchants.requests] == [
        Step.CREATE,
        Step.CHARGE,
        Step.CHARGE_AGAIN,
    ]
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


@pytest.mark.parametrize(
    ("ending", "step", "body"),
    [
        (Ending.COLLECT, Step.CAPTURE, {}),
        (Ending.COLLECT_PART, Step.CAPTURE, {"amountToCaptureInCents": 329}),
        (Ending.CANCEL, Step.CANCEL, {}),
    ],
)
async def test_held_funds_are_collected_or_given_up(
    ending: Ending, step: Step, body: dict[str, Any]
) -> None:
    merchants, fake = await _made(a_hold(ending), [CREATED, SUCCEEDED, HELD, TAKEN])

    assert [request.step for request in merchants.requests] == [Step.CREATE, Step.CHARGE, step]
    path, asked, key = fake.asked[-1]
    assert (path, asked) == (f"/payment-intents/pi_1/{step}", body)
    assert fake.asked[-2] == fake.asked[-1]
    assert key == merchants.requests[-1].key


async def test_a_refused_capture_is_tried_once_more_and_then_given_up() -> None:
    merchants, _ = await _made(
        a_hold(Ending.COLLECT), [CREATED, SUCCEEDED, AUTHORIZED, AUTHORIZED, CANCELED]
    )

    assert [request.step for request in merchants.requests][2:] == [
        Step.CAPTURE,
        Step.CAPTURE_AGAIN,
        Step.CANCEL,
    ]
    assert len({request.key for request in merchants.requests}) == 5


async def test_of_an_approved_part_a_part_is_collected_also_again_and_when_it_was_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.faults.merchants.LOOK_AGAIN_S", 0.001)
    merchants, fake = await _made(
        a_hold(Ending.COLLECT_PART),
        [CREATED, UNKNOWN, AUTHORIZED, AUTHORIZED, TAKEN],
    )

    captures = [request for request in merchants.requests if request.step.startswith("capture")]
    assert [request.body for request in captures] == [{"amountToCaptureInCents": 329}] * 2
    assert fake.answers == []


@pytest.mark.parametrize(("accepts_part", "said"), [(True, "accepted"), (False, "refused")])
async def test_a_merchant_says_what_becomes_of_parts(*, accepts_part: bool, said: str) -> None:
    _, fake = await _made(replace(a_payment(), accepts_part=accepts_part), [CREATED, SUCCEEDED])

    _, body, _ = fake.asked[0]
    assert isinstance(body, dict)
    assert body["partialApproval"] == said


async def test_who_is_told_nothing_certain_waits_for_the_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.faults.merchants.LOOK_AGAIN_S", 0.001)
    merchants, fake = await _made(
        a_hold(Ending.COLLECT), [CREATED, UNKNOWN, PROCESSING, NO_ANSWER, AUTHORIZED, TAKEN]
    )

    assert [request.step for request in merchants.requests][-1] is Step.CAPTURE
    assert [path for path, _, key in fake.asked if key is None] == ["/payment-intents/pi_1"] * 3


async def test_a_refusal_ends_the_payment() -> None:
    refused = (400, {"error": {"code": "parameter_invalid"}})

    merchants, _ = await _made(a_payment(), [refused])

    [create] = merchants.requests
    assert create.told is not None
    assert create.told.status == 400
