"""Who may call: signatures, timestamps, nonces, keys and forged identity, through Envoy."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paymesh.intent.v1 import payment_intent_service_pb2, payment_intent_service_pb2_grpc

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Merchant

pytestmark = pytest.mark.e2e

BODY = json.dumps({"amountInCents": 1099, "currency": "usd"}).encode()
JSON = {"Content-Type": "application/json"}


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_request_without_a_signature_is_refused(merchant: Merchant) -> None:
    answer = await merchant.send("POST", "/payment-intents", BODY, JSON)

    assert answer.status == 401
    assert answer.error["type"] == "authentication_error"


@pytest.mark.parametrize(
    "missing", ["Authorization", "X-Request-Timestamp", "X-Request-Nonce", "X-Signature"]
)
async def test_a_request_that_lacks_one_header_is_refused(merchant: Merchant, missing: str) -> None:
    headers = merchant.signed("POST", "/payment-intents", BODY)
    del headers[missing]

    answer = await merchant.send("POST", "/payment-intents", BODY, headers | JSON)

    assert answer.status == 401
    assert answer.error["type"] == "authentication_error"


async def test_a_wrong_signature_and_an_unknown_key_look_the_same(
    connect: Callable[..., Merchant], merchant: Merchant
) -> None:
    wrong = connect(replace(merchant.keys, secret_key=merchant.keys.secret_key + "x"))
    unknown = connect(replace(merchant.keys, publishable_key="pk_test_" + "0" * 24))

    answers = [await caller.call("GET", "/payment-intents") for caller in (wrong, unknown)]

    assert [answer.status for answer in answers] == [401, 401]
    first, second = ({**answer.error, "requestId": ""} for answer in answers)
    assert first == second


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        (
            ("POST", "/payment-intents", BODY),
            ("POST", "/payment-intents", BODY.replace(b"1099", b"1")),
        ),
        (("GET", "/payment-intents", b""), ("GET", "/payment-intents?limit=1", b"")),
        (("GET", "/payment-intents", b""), ("GET", "/events", b"")),
    ],
    ids=["body", "query", "path"],
)
async def test_what_changed_after_signing_is_refused(
    merchant: Merchant, signed: tuple[str, str, bytes], sent: tuple[str, str, bytes]
) -> None:
    answer = await merchant.send(*sent, merchant.signed(*signed) | JSON)

    assert answer.status == 401


@pytest.mark.parametrize("offset", [timedelta(minutes=-6), timedelta(minutes=6)])
async def test_a_timestamp_outside_five_minutes_is_refused(
    merchant: Merchant, offset: timedelta
) -> None:
    headers = merchant.signed("GET", "/payment-intents", timestamp=_iso(datetime.now(UTC) + offset))

    answer = await merchant.send("GET", "/payment-intents", b"", headers)

    assert answer.status == 401
    assert answer.error["code"] == "timestamp_out_of_range"


async def test_a_nonce_works_once(merchant: Merchant) -> None:
    headers = merchant.signed("GET", "/payment-intents", nonce=str(uuid.uuid4()))

    answers = await asyncio.gather(
        *(merchant.send("GET", "/payment-intents", b"", headers) for _ in range(10))
    )

    assert sorted(answer.status for answer in answers) == [200] + [401] * 9
    assert {answer.error["code"] for answer in answers if answer.status == 401} == {"nonce_reused"}


async def test_a_revoked_key_is_refused_within_seconds(
    mesh: Mesh, connect: Callable[..., Merchant]
) -> None:
    merchant = connect()
    assert (await merchant.call("GET", "/payment-intents")).status == 200
    [(key_id,)] = mesh.query(
        "edge", "select id from api_keys where merchant_id = %s", merchant.keys.merchant_id
    )

    mesh.run("merchants", "keys", "revoke", str(key_id))

    for _ in range(50):
        answer = await merchant.call("GET", "/payment-intents")
        if answer.status == 401:
            break
        await asyncio.sleep(0.1)
    assert answer.status == 401


async def test_keys_of_one_mode_do_not_see_objects_of_the_other(
    connect: Callable[..., Merchant],
) -> None:
    test = connect()
    live = connect(mode="live")
    intent = await live.create_intent()

    answer = await test.call("GET", f"/payment-intents/{intent['id']}")

    assert answer.status == 404


async def test_forged_identity_headers_change_nothing(
    connect: Callable[..., Merchant], merchant: Merchant
) -> None:
    victim = connect()
    intent = await victim.create_intent()
    forged = {
        "x-merchant-id": victim.keys.merchant_id,
        "x-paymesh-error": "{}",
        "x-paymesh-http-status": "200",
    }

    answer = await merchant.call("GET", f"/payment-intents/{intent['id']}", headers=forged)

    assert answer.status == 404


async def test_a_forged_token_is_refused(mesh: Mesh, merchant: Merchant) -> None:
    now = datetime.now(UTC)
    token = jwt.encode(
        {
            "iss": "paymesh-edge",
            "aud": "paymesh",
            "mer": merchant.keys.merchant_id,
            "mode": "test",
            "iat": now,
            "exp": now + timedelta(minutes=1),
        },
        Ed25519PrivateKey.generate(),
        algorithm="EdDSA",
    )
    headers = merchant.signed("GET", "/payment-intents") | {"Authorization": f"Bearer {token}"}

    answer = await merchant.send("GET", "/payment-intents", b"", headers)

    assert answer.status == 401


async def test_too_many_requests_are_told_when_to_retry(connect: Callable[..., Merchant]) -> None:
    merchant = connect()
    limited = asyncio.Event()
    answers = []

    async def knock() -> None:
        for _ in range(150):
            if limited.is_set():
                return
            answer = await merchant.call("GET", "/payment-intents/nothing")
            if answer.status == 429:
                answers.append(answer)
                limited.set()

    await asyncio.gather(*(knock() for _ in range(48)))

    assert answers, "7,200 requests met no limit"
    assert answers[0].error["type"] == "rate_limit_error"
    assert int(answers[0].headers["retry-after"]) >= 1
    other = connect()
    assert (await other.call("GET", "/payment-intents")).status == 200


@pytest.mark.parametrize("path", ["", "/payment-intents"])
async def test_native_grpc_reaches_no_service(merchant: Merchant, path: str) -> None:
    path = path or "/paymesh.intent.v1.PaymentIntentService/CreatePaymentIntent"
    headers = merchant.signed("POST", path) | {"Content-Type": "application/grpc", "TE": "trailers"}

    answer = await merchant.send("POST", path, b"", headers)

    assert answer.status in {404, 415}
    assert answer.error["type"] == "invalid_request_error"


def _trusting(ca_file: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(ca_file.read_bytes())


async def test_a_grpc_client_gets_no_answer_from_a_service(edge_url: str, ca_file: Path) -> None:
    credentials = _trusting(ca_file)
    target = edge_url.removeprefix("https://")
    async with grpc.aio.secure_channel(target, credentials) as channel:
        stub = payment_intent_service_pb2_grpc.PaymentIntentServiceStub(channel)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetPaymentIntent(
                payment_intent_service_pb2.GetPaymentIntentRequest(payment_intent_id="pi_x")
            )

    assert refused.value.code() is not grpc.StatusCode.OK
