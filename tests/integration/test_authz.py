"""edge/authz as it runs: its own process, a real PostgreSQL, mutual TLS on both of its ports."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from paymesh.merchant.v1 import merchant_service_pb2, merchant_service_pb2_grpc, mode_pb2

from chassis.errors import Unauthenticated
from chassis.identity import BROWSERS, SERVERS, TokenVerifier
from tests.integration.authz_client import ACCOUNT, BODY, OPERATOR, Authz, Keys

pytestmark = pytest.mark.integration


async def test_a_signed_request_passes_with_a_token_of_its_merchant_and_mode(
    authz: Authz, tls: Path
) -> None:
    keys = await authz.new_keys(mode_pb2.ModeEnum.live)

    answer = await authz.ask(
        "POST", "/payment-intents", BODY, keys.signed("POST", "/payment-intents", BODY)
    )

    assert answer.status == 200, answer.content
    assert answer.headers["x-merchant-id"] == keys.merchant_id
    caller = TokenVerifier(tls / "jwks.json").verify(
        answer.headers["authorization"].removeprefix("Bearer "), SERVERS
    )
    assert (caller.merchant_id, caller.mode) == (keys.merchant_id, "live")


async def test_a_refusal_is_the_one_error_body(authz: Authz) -> None:
    answer = await authz.ask("GET", "/payment-intents", headers={"X-Request-Id": "req-2"})

    assert answer.status == 401
    assert answer.headers["content-type"] == "application/json"
    assert answer.error == {
        "type": "authentication_error",
        "code": "request_not_signed",
        "message": answer.error["message"],
        "param": "Authorization",
        "requestId": "req-2",
    }


async def test_who_calls_is_settled_before_what_they_ask(authz: Authz) -> None:
    keys = await authz.new_keys()
    headers = keys.signed("POST", "/payment-intents", b"{}")

    answer = await authz.ask("POST", "/payment-intents", b'{"colour":"red"}', headers)

    assert (answer.status, answer.error["code"]) == (401, "signature_invalid")


@pytest.mark.parametrize(
    ("path", "content", "code", "param"),
    [
        ("/payment-intents", b'{"colour":"red"}', "parameter_unknown", "colour"),
        ("/payment-intents?amountInCents=5", BODY, "parameter_unknown", "amountInCents"),
        (
            "/payment-intents/pi_x/transactions",
            b'{"type":"charge","card":{"number":4242424242424242}}',
            "parameter_invalid",
            "card.number",
        ),
        ("/payment-intents", b"amount=5", "body_not_json", None),
    ],
)
async def test_a_signed_request_with_a_bad_body_is_refused_by_name(
    authz: Authz, path: str, content: bytes, code: str, param: str | None
) -> None:
    keys = await authz.new_keys()

    answer = await authz.ask("POST", path, content, keys.signed("POST", path, content))

    assert answer.status == 400
    assert (answer.error["code"], answer.error.get("param")) == (code, param)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/payment-intents/"),
        ("POST", "/payment-intents/pi_x/transactions/"),
        ("GET", "/payment-intents/pi_x/"),
        ("PUT", "/payment-intents"),
        ("GET", "/payment-intents/pi_x/nothing"),
    ],
)
async def test_a_path_that_no_check_covers_does_not_pass(
    authz: Authz, method: str, path: str
) -> None:
    """The transcoder ignores slashes at the end; such a body would pass unchecked."""
    keys = await authz.new_keys()
    content = b'{"colour":"red"}' if method == "POST" else b""

    answer = await authz.ask(method, path, content, keys.signed(method, path, content))

    assert (answer.status, answer.error["code"]) == (404, "resource_missing")


async def test_a_header_that_is_there_twice_is_refused(authz: Authz) -> None:
    keys = await authz.new_keys()
    headers = keys.signed("GET", "/payment-intents")

    answer = await authz.ask(
        "GET", "/payment-intents", headers=[*headers.items(), ("X-Signature", "sha256=" + "0" * 64)]
    )

    assert (answer.status, answer.error["param"]) == (401, "X-Signature")


async def test_one_of_many_requests_with_the_same_nonce_passes(authz: Authz) -> None:
    keys = await authz.new_keys()
    headers = keys.signed("GET", "/payment-intents")

    answers = await asyncio.gather(
        *(authz.ask("GET", "/payment-intents", headers=headers) for _ in range(10))
    )

    assert sorted(answer.status for answer in answers) == [200] + [401] * 9
    assert {answer.error["code"] for answer in answers if answer.status == 401} == {"nonce_reused"}


async def test_a_nonce_is_used_up_only_by_a_genuine_request(authz: Authz) -> None:
    keys = await authz.new_keys()
    nonce = str(uuid.uuid4())
    genuine = keys.signed("GET", "/payment-intents", nonce=nonce)
    forged = genuine | {"X-Signature": "sha256=" + "0" * 64}

    refused = await authz.ask("GET", "/payment-intents", headers=forged)
    passed = await authz.ask("GET", "/payment-intents", headers=genuine)

    assert (refused.status, passed.status) == (401, 200)


async def test_two_merchants_may_use_the_same_nonce(authz: Authz) -> None:
    nonce = str(uuid.uuid4())

    for _ in range(2):
        keys = await authz.new_keys()
        headers = keys.signed("GET", "/payment-intents", nonce=nonce)
        assert (await authz.ask("GET", "/payment-intents", headers=headers)).status == 200


async def test_a_revoked_key_stops_working(authz: Authz) -> None:
    keys = await authz.new_keys()

    async def status() -> int:
        headers = keys.signed("GET", "/payment-intents")
        return (await authz.ask("GET", "/payment-intents", headers=headers)).status

    assert await status() == 200
    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        request = merchant_service_pb2.RevokeApiKeyRequest(
            api_key_id=keys.id, requested_by=OPERATOR
        )
        first = await stub.RevokeApiKey(request, timeout=5)
        again = await stub.RevokeApiKey(request, timeout=5)

    assert first.api_key.expires == again.api_key.expires > 0
    for _ in range(100):
        if await status() == 401:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the revoked key still works")


async def test_rolling_a_key_keeps_the_old_one_for_the_overlap(authz: Authz) -> None:
    keys = await authz.new_keys(mode_pb2.ModeEnum.live)

    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        rolled = await stub.RollApiKey(
            merchant_service_pb2.RollApiKeyRequest(api_key_id=keys.id, requested_by=OPERATOR),
            timeout=5,
        )
        listed = await stub.ListApiKeys(
            merchant_service_pb2.ListApiKeysRequest(merchant_id=keys.merchant_id), timeout=5
        )

    assert rolled.api_key.publishable_key.startswith("pk_live_")
    assert rolled.secret_key.startswith("sk_live_")
    assert [key.id for key in listed.api_keys] == [rolled.api_key.id, keys.id]
    assert not listed.api_keys[0].HasField("expires")
    assert listed.api_keys[1].HasField("expires")
    fresh = Keys("", keys.merchant_id, rolled.api_key.publishable_key, rolled.secret_key)
    for pair in (keys, fresh):
        headers = pair.signed("GET", "/payment-intents")
        assert (await authz.ask("GET", "/payment-intents", headers=headers)).status == 200


async def test_secrets_and_bank_accounts_are_stored_encrypted_and_shown_masked(
    authz: Authz,
) -> None:
    keys = await authz.new_keys()

    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        found = await stub.GetMerchant(
            merchant_service_pb2.GetMerchantRequest(merchant_id=keys.merchant_id), timeout=5
        )
        listed = await stub.ListApiKeys(
            merchant_service_pb2.ListApiKeysRequest(merchant_id=keys.merchant_id), timeout=5
        )

    assert found.merchant.bank_account.last4 == "5555"
    assert ACCOUNT.account_number not in str(found)
    assert keys.secret not in str(listed)
    assert listed.api_keys[0].secret_last4 == keys.secret[-4:]
    [stored] = authz.query(
        "select m::text || k::text || encode(bank_account, 'escape') || encode(secret, 'escape') "
        "from merchants m join api_keys k on k.merchant_id = m.id where m.id = %s",
        keys.merchant_id,
    )
    for secret in (keys.secret, ACCOUNT.account_number, ACCOUNT.account_holder):
        assert secret not in stored[0]
        assert secret.encode().hex() not in stored[0]


async def test_only_the_platform_team_may_manage_merchants(authz: Authz) -> None:
    credentials = grpc.ssl_channel_credentials(
        *((authz.tls / name).read_bytes() for name in ("ca.crt", "intent.key", "intent.crt"))
    )
    async with grpc.aio.secure_channel(authz.address, credentials) as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetMerchant(
                merchant_service_pb2.GetMerchantRequest(merchant_id="mer_x"), timeout=5
            )

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_nobody_but_the_edge_is_answered(authz: Authz) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await authz.ask("GET", "/payment-intents", certificate="webhook")
    without = ssl.create_default_context(cafile=str(authz.tls / "ca.crt"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=without)) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(authz.http_url + "/payment-intents")


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "X-Request-Id": "req-1"}


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [("GET", "/card-encryption-keys", b""), ("POST", "/card-tokens", b'{"clientSecret":"s"}')],
)
async def test_a_browser_passes_with_a_publishable_key_and_a_token_for_browsers(
    authz: Authz, tls: Path, method: str, path: str, content: bytes
) -> None:
    keys = await authz.new_keys(mode_pb2.ModeEnum.live)

    answer = await authz.ask(method, path, content, _bearer(keys.publishable))

    assert answer.status == 200, answer.content
    token = answer.headers["authorization"].removeprefix("Bearer ")
    verifier = TokenVerifier(tls / "jwks.json")
    caller = verifier.verify(token, BROWSERS)
    assert (caller.merchant_id, caller.mode) == (keys.merchant_id, "live")
    with pytest.raises(Unauthenticated):
        verifier.verify(token, SERVERS)


async def test_browsers_and_servers_are_limited_apart(authz: Authz) -> None:
    keys = await authz.new_keys()

    browser = await authz.ask("GET", "/card-encryption-keys", headers=_bearer(keys.publishable))
    signed = keys.signed("GET", "/payment-intents")
    server = await authz.ask("GET", "/payment-intents", headers=signed)

    assert browser.headers["x-rate-limit-key"] == keys.id
    assert server.headers["x-rate-limit-key"] == keys.merchant_id
    assert browser.headers["x-merchant-id"] == server.headers["x-merchant-id"] == keys.merchant_id


async def test_a_browser_with_a_key_that_is_none_is_refused(authz: Authz) -> None:
    keys = await authz.new_keys()
    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        request = merchant_service_pb2.RevokeApiKeyRequest(
            api_key_id=keys.id, requested_by=OPERATOR
        )
        await stub.RevokeApiKey(request, timeout=5)

    headers = [
        {"X-Request-Id": "req-1"},
        _bearer(keys.secret),
        _bearer("pk_test_" + "0" * 24),
        _bearer(keys.publishable),
    ]
    answers = [await authz.ask("POST", "/card-tokens", b"{}", each) for each in headers]

    assert [(answer.status, answer.error["code"]) for answer in answers] == [
        (401, "request_not_signed"),
        (401, "request_not_signed"),
        (401, "signature_invalid"),
        (401, "signature_invalid"),
    ]


@pytest.mark.parametrize(
    ("asked", "content", "status", "code"),
    [
        ("POST /card-tokens", b'{"number":"4242424242424242"}', 400, "parameter_unknown"),
        ("POST /card-tokens", b'{"encryptedCard":5}', 400, "parameter_invalid"),
        ("POST /card-tokens?clientSecret=s", b"{}", 400, "parameter_unknown"),
        ("GET /card-encryption-keys?kid=k", b"", 400, "parameter_unknown"),
        ("GET /card-tokens", b"", 404, "resource_missing"),
        ("PUT /card-encryption-keys", b"{}", 404, "resource_missing"),
        ("POST /card-tokens/", b"{}", 401, "request_not_signed"),
        ("GET /payment-intents", b"", 401, "request_not_signed"),
        ("POST /payment-intents/pi_x/transactions", b"{}", 401, "request_not_signed"),
    ],
)
async def test_a_browser_s_request_is_checked_as_strictly_and_goes_nowhere_else(
    authz: Authz, asked: str, content: bytes, status: int, code: str
) -> None:
    keys = await authz.new_keys()
    method, path = asked.split()

    answer = await authz.ask(method, path, content, _bearer(keys.publishable))

    assert (answer.status, answer.error["code"]) == (status, code)
