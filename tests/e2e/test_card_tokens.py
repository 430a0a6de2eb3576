"""Card tokens through Envoy: from a card that a browser encrypted to a charge, and refusals."""

from __future__ import annotations

import asyncio
import re
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chassis.ids import new_kid
from sandbox.platform.postgres_programs import tool
from tests.e2e.browser import Browser, charge_token
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED_MASTERCARD, DECLINED, Merchant, card

pytestmark = pytest.mark.e2e

CANARY, CANARY_CVC = "4929123498761238", "987"


@pytest.fixture
def browser(merchant: Merchant) -> Browser:
    return Browser(merchant)


def _tokens(mesh: Mesh, merchant: Merchant) -> list[str]:
    rows = mesh.query(
        "txn", "select id from card_tokens where merchant_id = %s", merchant.keys.merchant_id
    )
    return [row[0] for row in rows]


def _transactions(mesh: Mesh, merchant: Merchant) -> int:
    sql = "select count(*) from transactions where merchant_id = %s"
    number: int = mesh.query("txn", sql, merchant.keys.merchant_id)[0][0]
    return number


@pytest.mark.parametrize("mode", ["test", "live"])
async def test_a_card_that_a_browser_encrypted_pays_once(
    mesh: Mesh, connect: Callable[..., Merchant], mode: str
) -> None:
    merchant = connect(mode=mode)
    browser = Browser(merchant)
    intent = await merchant.create_intent(1234)
    fields = card(APPROVED_MASTERCARD)

    made = await browser.ask(intent, await browser.encrypt(fields))
    token, key = made.json, str(uuid.uuid4())
    paid = await charge_token(merchant, intent["id"], token["id"], key=key)
    replayed = await charge_token(merchant, intent["id"], token["id"], key=key)
    reused = await charge_token(merchant, intent["id"], token["id"])

    shown = {"brand": "mastercard", "last4": "4444", "expMonth": 12, "expYear": 2034}
    assert (token["card"], token["expires"] - token["created"]) == (shown, 900)
    assert (paid.status, paid.json["status"]) == (200, "succeeded"), paid.content
    assert (shown.items() <= paid.json["card"].items(), paid.json["mode"]) == (True, mode)
    assert replayed.content == paid.content
    assert replayed.headers["idempotent-replayed"] == "true"
    assert (reused.status, reused.error["code"]) == (400, "card_token_used")
    assert (await merchant.intent(intent["id"]))["status"] == "succeeded"
    assert _tokens(mesh, merchant) == []
    assert _transactions(mesh, merchant) == 1


async def test_the_keys_are_a_jwks_that_browsers_may_keep_for_a_while(browser: Browser) -> None:
    answer = await browser.keys()

    [jwk] = answer.json["keys"]
    assert set(jwk) == {"kid", "kty", "crv", "x", "y", "use", "alg"}
    assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"]) == ("EC", "P-256", "enc", "ECDH-ES")
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_a_decline_needs_another_token_of_another_card(
    merchant: Merchant, browser: Browser
) -> None:
    intent = await merchant.create_intent()

    declined = await charge_token(
        merchant, intent["id"], await browser.token(intent, number=DECLINED)
    )
    paid = await charge_token(merchant, intent["id"], await browser.token(intent))

    assert [answer.json["status"] for answer in (declined, paid)] == ["failed", "succeeded"]


async def test_two_charges_of_one_token_at_once_send_one(
    mesh: Mesh, merchant: Merchant, browser: Browser
) -> None:
    intent = await merchant.create_intent(7171)
    token = await browser.token(intent)

    answers = await asyncio.gather(*(charge_token(merchant, intent["id"], token) for _ in range(5)))

    codes = [answer.error["code"] for answer in answers if answer.status != 200]
    assert codes == ["card_token_used"] * 4
    assert len([row for row in mesh.ledger() if row["amount"] == 7171]) == 1
    assert _transactions(mesh, merchant) == 1


async def test_nobody_learns_whether_an_intent_exists_without_its_secret(
    connect: Callable[..., Merchant], merchant: Merchant, browser: Browser
) -> None:
    intent, other = await merchant.create_intent(), connect()
    live = connect(mode="live")
    encrypted = await browser.encrypt(card())
    secret = intent["clientSecret"]

    answers = [
        await browser.ask(intent | {"clientSecret": secret[:-1] + "_"}, encrypted),
        await browser.ask(intent | {"clientSecret": "é"}, encrypted),
        await browser.ask(intent | {"id": "pi_" + "0" * 26}, encrypted),
        await browser.ask(intent | {"id": "nothing"}, encrypted),
        await browser.ask({"id": "nothing", "clientSecret": "nothing_secret_1"}, encrypted),
        await Browser(other).ask(intent, encrypted),
        await Browser(live).ask(intent, encrypted),
        await browser.ask(
            intent | {"clientSecret": (await other.create_intent())["clientSecret"]}, encrypted
        ),
    ]

    bodies = [answer.error | {"requestId": ""} for answer in answers]
    assert {answer.status for answer in answers} == {404}
    assert bodies == [bodies[0]] * len(bodies)
    assert (bodies[0]["code"], bodies[0]["param"]) == ("resource_missing", "paymentIntentId")
    assert (await browser.ask(intent, encrypted)).status == 200  # the card was not used up


@pytest.mark.parametrize("status", ["succeeded", "canceled", "authorized"])
async def test_an_intent_that_is_not_to_be_paid_any_more_gets_no_token(
    merchant: Merchant, browser: Browser, status: str
) -> None:
    method = "manual" if status == "authorized" else "automatic"
    intent = await merchant.create_intent(captureMethod=method)
    if status == "canceled":
        await merchant.call("POST", f"/payment-intents/{intent['id']}/cancel")
    else:
        await merchant.charge(intent["id"])

    answer = await browser.ask(intent, await browser.encrypt(card()))

    assert (answer.status, answer.error["code"]) == (400, "payment_intent_unexpected_state")
    assert (await merchant.intent(intent["id"]))["status"] == status


@pytest.mark.parametrize(
    ("fields", "kid", "code", "param"),
    [
        ({"iat": 1}, None, "encrypted_card_expired", "encryptedCard"),
        ({"iat": 4_000_000_000}, None, "encrypted_card_expired", "encryptedCard"),
        ({"colour": "red"}, None, "parameter_invalid", "encryptedCard"),
        ({}, new_kid(), "card_encryption_key_unknown", "encryptedCard"),
        ({}, "k", "parameter_invalid", "encryptedCard"),
        ({"number": "4242424242424241"}, None, "incorrect_number", "card.number"),
        ({"number": "378282246310005"}, None, "card_brand_not_supported", "card.number"),
        ({"exp_month": 13}, None, "invalid_expiry_month", "card.exp_month"),
        ({"exp_year": 34}, None, "invalid_expiry_year", "card.exp_year"),
        ({"exp_year": 2020}, None, "expired_card", "card.exp_year"),
        ({"cvc": "12"}, None, "invalid_cvc", "card.cvc"),
        ({"cvc": None}, None, "parameter_missing", "card.cvc"),
    ],
)
async def test_a_bad_encrypted_card_is_refused_by_name(
    merchant: Merchant, fields: dict[str, object], kid: str | None, code: str, param: str
) -> None:
    intent, browser = await merchant.create_intent(), Browser(merchant)

    answer = await browser.ask(intent, await browser.encrypt(card() | fields, kid))

    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == (code, param)


@pytest.mark.parametrize(
    ("content", "status", "code", "param"),
    [
        (b"card=5", 400, "body_not_json", None),
        (b"", 400, "parameter_missing", "paymentIntentId"),
        (b'{"paymentIntentId":"pi_1"}', 400, "parameter_missing", "clientSecret"),
        (
            b'{"paymentIntentId":"pi_1","clientSecret":"s"}',
            400,
            "parameter_missing",
            "encryptedCard",
        ),
        (b'{"number":"4242424242424242"}', 400, "parameter_unknown", "number"),
        (b'{"encryptedCard":5}', 400, "parameter_invalid", "encryptedCard"),
        (b" " * 65_537, 413, "request_too_large", None),
    ],
)
async def test_a_bad_request_of_a_browser_is_refused_by_name(
    browser: Browser, content: bytes, status: int, code: str, param: str | None
) -> None:
    answer = await browser.call("POST", "/card-tokens", content)

    assert answer.status == status
    assert (answer.error["code"], answer.error.get("param")) == (code, param)


async def test_an_encrypted_card_is_taken_once_by_anyone(
    connect: Callable[..., Merchant], merchant: Merchant, browser: Browser
) -> None:
    """A card that somebody overheard is of no use to him, whoever's customer he says to be."""
    intent, thief = await merchant.create_intent(), connect()
    other = await thief.create_intent()
    encrypted = await browser.encrypt(card())

    answers = await asyncio.gather(*(browser.ask(intent, encrypted) for _ in range(5)))
    stolen = await Browser(thief).ask(other, encrypted)

    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]
    for answer in (stolen, *(each for each in answers if each.status == 400)):
        assert answer.error["code"] == "encrypted_card_reused"


async def _missing(merchant: Merchant, _: Browser) -> tuple[str, dict[str, Any]]:
    return "tok_" + merchant.keys.merchant_id[4:6] + "z" * 24, {}


async def _malformed(*_: object) -> tuple[str, dict[str, Any]]:
    return "tok_1", {}


async def _old(merchant: Merchant, _: Browser) -> tuple[str, dict[str, Any]]:
    return "tok_" + merchant.keys.merchant_id[4:6] + "0" * 24, {}


async def _of_another_intent(merchant: Merchant, browser: Browser) -> tuple[str, dict[str, Any]]:
    return await browser.token(await merchant.create_intent()), {}


async def _with_a_number(merchant: Merchant, browser: Browser) -> tuple[str, dict[str, Any]]:
    return await browser.token(await merchant.create_intent()), {"number": "4242424242424242"}


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (_missing, "card_token_unknown"),
        (_malformed, "card_token_unknown"),
        (_old, "card_token_expired"),
        (_of_another_intent, "card_token_for_another_intent"),
        (_with_a_number, "parameter_invalid"),
    ],
)
async def test_a_token_that_pays_nothing_is_refused_and_leaves_nothing(
    mesh: Mesh, merchant: Merchant, browser: Browser, token: Any, code: str
) -> None:
    intent = await merchant.create_intent()
    token_id, fields = await token(merchant, browser)
    key = str(uuid.uuid4())

    refused = await charge_token(merchant, intent["id"], token_id, key=key, **fields)
    stored = _transactions(mesh, merchant)
    good = await charge_token(merchant, intent["id"], await browser.token(intent), key=key)

    assert (refused.status, refused.error["code"]) == (400, code)
    assert refused.error["param"] == "card.token"
    assert stored == 0
    assert good.json["status"] == "succeeded"  # the key was still free


async def test_a_token_is_unknown_to_other_merchants_and_in_the_other_mode(
    mesh: Mesh, connect: Callable[..., Merchant], merchant: Merchant, browser: Browser
) -> None:
    intent, other = await merchant.create_intent(), connect()
    token = await browser.token(intent)

    foreign = await charge_token(other, (await other.create_intent())["id"], token)
    paid = await charge_token(merchant, intent["id"], token)

    assert (foreign.status, foreign.error["code"]) == (400, "card_token_unknown")
    assert foreign.error["param"] == "card.token"
    assert _transactions(mesh, other) == 0
    assert paid.json["status"] == "succeeded"


async def test_a_token_whose_time_is_over_pays_nothing(
    mesh: Mesh, merchant: Merchant, browser: Browser
) -> None:
    intent = await merchant.create_intent()
    token = await browser.token(intent)
    mesh.query(
        "txn",
        "update card_tokens set expires = now(), created = now() - interval '15 minutes' "
        "where id = %s returning id",
        token,
    )

    refused = await charge_token(merchant, intent["id"], token)

    assert refused.status == 400  # its row may be purged by now, and then only its id tells
    assert refused.error["code"] in {"card_token_expired", "card_token_unknown"}
    for _ in range(300):
        if not _tokens(mesh, merchant):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the token was not purged")


async def test_a_publishable_key_opens_nothing_else(merchant: Merchant, browser: Browser) -> None:
    intent = await merchant.create_intent()
    secret = Browser(merchant, merchant.keys.secret_key)
    unknown = Browser(merchant, "pk_test_" + "0" * 24)

    for path in ("/payment-intents", f"/payment-intents/{intent['id']}", "/events"):
        assert (await browser.call("GET", path)).status == 401
    bare = await merchant.send("GET", "/card-encryption-keys")
    answers = [await each.keys() for each in (secret, unknown)]
    elsewhere = [
        await browser.call("GET", "/card-tokens"),
        await browser.call("POST", "/card-encryption-keys", b"{}"),
        await browser.call("GET", "/card-encryption-keys/"),
        await browser.call("POST", "/card-tokens?paymentIntentId=pi_1", b"{}"),
    ]

    assert (bare.status, bare.error["param"]) == (401, "Authorization")
    assert [(each.status, each.error["code"]) for each in answers] == [
        (401, "request_not_signed"),
        (401, "signature_invalid"),
    ]
    assert [each.status for each in elsewhere] == [404, 404, 404, 400]


def _dump(mesh: Mesh) -> str:
    done = subprocess.run(
        [tool("pg_dump"), mesh.status()["databases"]["txn"]],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


async def test_no_card_is_in_the_database_in_the_clear(
    mesh: Mesh, merchant: Merchant, browser: Browser
) -> None:
    intent = await merchant.create_intent()

    token = await browser.token(intent, number=CANARY, cvc=CANARY_CVC)
    before = _dump(mesh)
    paid = await charge_token(merchant, intent["id"], token)
    after = _dump(mesh)

    assert paid.json["status"] == "succeeded"
    assert paid.json["card"]["last4"] == CANARY[-4:]
    assert token in before
    for dump in (before, after):
        for form in (CANARY, CANARY.encode().hex(), CANARY[:-4]):
            assert form not in dump
        assert not re.search(rf"(?<![\w.-]){CANARY_CVC}(?![\w.-])", dump)
        assert f'"{CANARY_CVC}"'.encode().hex() not in dump
    [(kept,)] = mesh.query("txn", "select count(*) from card_tokens where id = %s", token)
    assert kept == 0


async def test_a_publishable_key_has_a_limit(browser: Browser) -> None:
    answer = await browser.keys()

    assert answer.headers["x-ratelimit-limit"] == "500"
