"""Bad input through Envoy: the one error body, the field named, nothing stored."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED, Merchant, card

pytestmark = pytest.mark.e2e

GOOD: dict[str, Any] = {"amountInCents": 1099, "currency": "usd"}
CARD_SENTINEL = "4000000000009995"


def _without(name: str) -> dict[str, Any]:
    return {field: value for field, value in GOOD.items() if field != name}


CREATES: list[tuple[str, bytes, str, str | None]] = [
    ("not JSON", b"amount=5", "body_not_json", None),
    ("half a JSON object", b'{"amountInCents":', "body_not_json", None),
    ("a JSON list", b"[1]", "body_not_json", None),
    (
        "invalid UTF-8",
        b'{"amountInCents":5,"currency":"usd","description":"\xff"}',
        "body_not_json",
        None,
    ),
    *(
        (name, json.dumps(body).encode(), code, param)
        for name, body, code, param in [
            (
                "amount as text",
                GOOD | {"amountInCents": "1099"},
                "parameter_invalid",
                "amountInCents",
            ),
            (
                "amount as null",
                GOOD | {"amountInCents": None},
                "parameter_invalid",
                "amountInCents",
            ),
            (
                "amount as truth",
                GOOD | {"amountInCents": True},
                "parameter_invalid",
                "amountInCents",
            ),
            ("currency as number", GOOD | {"currency": 840}, "parameter_invalid", "currency"),
            ("metadata as list", GOOD | {"metadata": ["a"]}, "parameter_invalid", "metadata"),
            (
                "metadata value as number",
                GOOD | {"metadata": {"order": 5}},
                "parameter_invalid",
                "metadata.order",
            ),
            (
                "unknown field",
                GOOD | {"captureMetod": "manual"},
                "parameter_unknown",
                "captureMetod",
            ),
            ("missing amount", _without("amountInCents"), "parameter_missing", "amountInCents"),
            ("missing currency", _without("currency"), "parameter_missing", "currency"),
            ("amount 0", GOOD | {"amountInCents": 0}, "parameter_invalid", "amountInCents"),
            ("negative amount", GOOD | {"amountInCents": -5}, "parameter_invalid", "amountInCents"),
            (
                "fractional amount",
                GOOD | {"amountInCents": 10.5},
                "parameter_invalid",
                "amountInCents",
            ),
            (
                "amount above the limit",
                GOOD | {"amountInCents": 100_000_000},
                "parameter_invalid",
                "amountInCents",
            ),
            (
                "amount above 32 bits",
                GOOD | {"amountInCents": 3_000_000_000},
                "parameter_invalid",
                "amountInCents",
            ),
            ("unknown currency", GOOD | {"currency": "xyz"}, "parameter_invalid", "currency"),
            ("upper-case currency", GOOD | {"currency": "USD"}, "parameter_invalid", "currency"),
            (
                "unknown capture method",
                GOOD | {"captureMethod": "later"},
                "parameter_invalid",
                "captureMethod",
            ),
            (
                "long description",
                GOOD | {"description": "x" * 1001},
                "parameter_invalid",
                "description",
            ),
            ("NUL in text", GOOD | {"description": "a\0b"}, "parameter_invalid", "description"),
            (
                "51 metadata keys",
                GOOD | {"metadata": {f"k{n}": "v" for n in range(51)}},
                "parameter_invalid",
                "metadata",
            ),
            (
                "long metadata key",
                GOOD | {"metadata": {"k" * 41: "v"}},
                "parameter_invalid",
                "metadata." + "k" * 41,
            ),
            (
                "long metadata value",
                GOOD | {"metadata": {"k": "v" * 501}},
                "parameter_invalid",
                "metadata.k",
            ),
        ]
    ),
]


def _stored(mesh: Mesh, merchant: Merchant) -> int:
    return sum(
        mesh.query(database, f"select count(*) from {table} where merchant_id = %s", owner)[0][0]  # noqa: S608
        for database, table in (
            ("intent", "payment_intents"),
            ("intent", "idempotency_keys"),
            ("txn", "transactions"),
            ("txn", "attempts"),
        )
        for owner in [merchant.keys.merchant_id]
    )


@pytest.mark.parametrize(
    ("content", "code", "param"), [row[1:] for row in CREATES], ids=[row[0] for row in CREATES]
)
async def test_a_bad_create_is_refused_by_name_and_stores_nothing(
    mesh: Mesh, merchant: Merchant, content: bytes, code: str, param: str | None
) -> None:
    answer = await merchant.call("POST", "/payment-intents", content=content, key="k")

    assert answer.status == 400, answer.content
    assert answer.error["code"] == code
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error.get("param") == param
    assert _stored(mesh, merchant) == 0


CARDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("fails Luhn", card("4242424242424241"), "incorrect_number", "card.number"),
    ("letters in the number", card("4242abcd42424242"), "incorrect_number", "card.number"),
    ("expired", card(exp_year=2020), "expired_card", "card.exp_year"),
    ("month 13", card(exp_month=13), "invalid_expiry_month", "card.exp_month"),
    ("2-digit year", card(exp_year=34), "invalid_expiry_year", "card.exp_year"),
    ("2-digit CVC", card(cvc="12"), "invalid_cvc", "card.cvc"),
    (
        "number as a number",
        card() | {"number": 4242424242424242},
        "parameter_invalid",
        "card.number",
    ),
    ("unknown field", card() | {"name": "Ana"}, "parameter_unknown", "card.name"),
    ("no network", card("378282246310005", cvc="1234"), "card_brand_not_supported", "card.number"),
]


@pytest.mark.parametrize(
    ("bad_card", "code", "param"), [row[1:] for row in CARDS], ids=[row[0] for row in CARDS]
)
async def test_a_bad_card_is_refused_by_name_and_stores_nothing(
    mesh: Mesh, merchant: Merchant, bad_card: dict[str, Any], code: str, param: str
) -> None:
    intent = await merchant.create_intent()

    answer = await merchant.call(
        "POST",
        f"/payment-intents/{intent['id']}/transactions",
        {"type": "charge", "card": bad_card},
        key=str(uuid.uuid4()),
    )

    assert answer.status == 400, answer.content
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert str(bad_card["number"]) not in answer.content.decode()
    assert _stored(mesh, merchant) == 1  # the intent alone
    assert (await merchant.intent(intent["id"]))["status"] == "created"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"card": card()}, "parameter_missing", "type"),
        ({"type": "charge"}, "parameter_missing", "card"),
        ({"type": "refund", "card": card()}, "transaction_type_not_supported", "type"),
        ({"type": "gift", "card": card()}, "parameter_invalid", "type"),
        ({"type": "charge", "card": {}}, "parameter_missing", "card.number"),
    ],
)
async def test_a_bad_transaction_is_refused_by_name(
    merchant: Merchant, body: dict[str, Any], code: str, param: str
) -> None:
    intent = await merchant.create_intent()

    answer = await merchant.call(
        "POST", f"/payment-intents/{intent['id']}/transactions", body, key=str(uuid.uuid4())
    )

    assert answer.status == 400, answer.content
    assert (answer.error["code"], answer.error["param"]) == (code, param)


async def test_a_charge_without_an_idempotency_key_is_refused(merchant: Merchant) -> None:
    intent = await merchant.create_intent()

    answer = await merchant.call(
        "POST",
        f"/payment-intents/{intent['id']}/transactions",
        {"type": "charge", "card": card()},
    )

    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == ("parameter_missing", "Idempotency-Key")


async def test_a_body_over_64_kb_is_refused(mesh: Mesh, merchant: Merchant) -> None:
    content = json.dumps(GOOD | {"description": "x" * 70_000}).encode()

    answer = await merchant.call("POST", "/payment-intents", content=content)

    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"
    assert _stored(mesh, merchant) == 0


async def test_a_query_string_on_a_post_is_refused(mesh: Mesh, merchant: Merchant) -> None:
    answer = await merchant.call("POST", "/payment-intents?amountInCents=5", GOOD)

    assert answer.status == 400
    assert answer.error["param"] == "amountInCents"
    assert _stored(mesh, merchant) == 0


@pytest.mark.parametrize("name", ["paymentIntentId", "payment_intent_id"])
async def test_a_query_parameter_that_shadows_a_path_variable_is_refused(
    merchant: Merchant, name: str
) -> None:
    mine, other = await merchant.create_intent(), await merchant.create_intent()

    answer = await merchant.call("GET", f"/payment-intents/{mine['id']}?{name}={other['id']}")

    assert answer.status == 400
    assert answer.error["param"] == name


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("status=done", "status"),
        ("colour=red", "colour"),
        ("created%5Bgte%5D=5", "created[gte]"),
    ],
)
async def test_a_bad_query_of_a_list_is_refused_by_name(
    merchant: Merchant, query: str, param: str
) -> None:
    answer = await merchant.call("GET", f"/payment-intents?{query}")

    assert answer.status == 400, answer.content
    assert answer.error["param"] == param


async def test_another_merchants_objects_do_not_exist(
    connect: Callable[..., Merchant], merchant: Merchant
) -> None:
    stranger = connect()
    intent = await merchant.create_intent()
    charged = await merchant.charge(intent["id"])
    paths = [
        ("GET", f"/payment-intents/{intent['id']}"),
        ("GET", f"/payment-intents/{intent['id']}/transactions"),
        ("GET", f"/payment-intents/{intent['id']}/transactions/{charged.json['id']}"),
        ("POST", f"/payment-intents/{intent['id']}/cancel"),
        ("POST", f"/payment-intents/{intent['id']}/capture"),
    ]

    for method, path in paths:
        answer = await stranger.call(method, path)
        assert answer.status == 404, (path, answer.content)
        assert answer.error["code"] == "resource_missing"
    answer = await stranger.charge(intent["id"])
    assert answer.status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/payment-intents/pi_00000000000000000000000000",
        "/payment-intents/pi_00000000000000000000000000/transactions",
        "/payment-intents/nothing",
        "/payment-intents/pi_%00",
        "/webhook-endpoints/we_00000000000000000000000000",
        "/events/evt_00000000000000000000000000",
        "/nothing-here",
    ],
)
async def test_what_never_existed_is_not_found(merchant: Merchant, path: str) -> None:
    answer = await merchant.call("GET", path)

    assert answer.status in {400, 404} if "%00" in path else answer.status == 404, answer.content
    assert answer.error["type"] == "invalid_request_error"


async def test_an_intent_that_nobody_charged_has_an_empty_list(merchant: Merchant) -> None:
    intent = await merchant.create_intent()

    answer = await merchant.call("GET", f"/payment-intents/{intent['id']}/transactions")

    assert (answer.status, answer.json) == (200, {"data": [], "hasMore": False})


async def test_a_second_charge_on_a_paid_intent_is_refused(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent()
    first = await merchant.charge(intent["id"])
    assert first.json["status"] == "succeeded"
    before = len(mesh.ledger())

    answer = await merchant.charge(intent["id"])

    assert answer.status == 400
    assert answer.error["code"] == "payment_intent_unexpected_state"
    assert len(mesh.ledger()) == before


async def test_a_live_key_may_not_send_a_raw_card(connect: Callable[..., Merchant]) -> None:
    live = connect(mode="live")
    intent = await live.create_intent()

    answer = await live.charge(intent["id"])

    assert answer.status == 400
    assert answer.error["code"] == "raw_card_not_allowed"
    assert APPROVED not in answer.content.decode()


async def test_every_refusal_carries_a_request_id_that_stands_in_the_logs(
    mesh: Mesh, merchant: Merchant
) -> None:
    from_service = await merchant.call("POST", "/payment-intents", GOOD | {"amountInCents": 0})
    from_authz = await merchant.call("POST", "/payment-intents", GOOD | {"colour": "red"})
    from_envoy = await merchant.call("GET", "/nothing-here")

    logs = [path for path in mesh.state_dir.rglob("*.log") if path.is_file()]
    for answer in (from_service, from_authz, from_envoy):
        request_id = answer.error["requestId"]
        assert answer.headers["request-id"] == request_id
        assert _stands_in(logs, request_id), request_id


def _stands_in(logs: list[Any], text: str) -> bool:
    for _ in range(50):  # the access log is flushed about once a second
        if any(text in path.read_text(errors="replace") for path in logs):
            return True
        time.sleep(0.1)
    return False
