"""What API keys may do and from where, through a real Envoy and the real edge/authz."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paymesh.merchant.v1 import api_key_rights_pb2, merchant_service_pb2, merchant_service_pb2_grpc

from tests.integration.authz_client import BODY, OPERATOR, Answer, Authz, Keys
from tests.integration.edge_parts import Edge, one_error, running_edge

pytestmark = pytest.mark.integration

PATH = "/payment-intents"
ELSEWHERE = "203.0.113.7"
FORGERIES = {
    "X-Forwarded-For": ELSEWHERE,
    "X-Client-Address": ELSEWHERE,
    "X-Real-Ip": ELSEWHERE,
    "X-Envoy-External-Address": ELSEWHERE,
    "True-Client-Ip": ELSEWHERE,
    "Forwarded": f"for={ELSEWHERE}",
}


@pytest.fixture(scope="module")
async def edge(
    authz: Authz, tls: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Edge]:
    """Run Envoy before edge/authz and payment intents; the other services are away."""
    folder = tmp_path_factory.mktemp("envoy-keys")
    authz_port = authz.http_url.rpartition(":")[2]
    async with running_edge(tls, folder, authz_port, await authz.new_keys()) as running:
        yield running


async def _manage(authz: Authz, rpc: str, key_id: str, **given: object) -> Any:
    async with authz.operator() as channel:
        stub: Any = merchant_service_pb2_grpc.MerchantServiceStub(channel)
        request = getattr(merchant_service_pb2, f"{rpc}Request")
        return await getattr(stub, rpc)(
            request(api_key_id=key_id, requested_by=OPERATOR, **given), timeout=5
        )


def _rights(**permissions: str) -> api_key_rights_pb2.ApiKeyRights:
    return api_key_rights_pb2.ApiKeyRights(
        permissions=[
            api_key_rights_pb2.ApiKeyPermission(resource=resource, access=access)
            for resource, access in permissions.items()
        ]
    )


def _seen(answer: Answer) -> tuple[object, ...]:
    """Return all of an answer that does not differ from request to request."""
    error = one_error(answer.content)
    headers = {
        name: value for name, value in answer.headers.items() if name not in {"request-id", "date"}
    }
    return answer.status, headers, {**error, "requestId": ""}


async def test_who_may_not_call_is_never_told_why(authz: Authz, edge: Edge) -> None:
    genuine, revoked, rolled = [await authz.new_keys() for _ in range(3)]
    bound = await authz.new_keys(networks=[ELSEWHERE], rights=_rights(events="read"))
    await _manage(authz, "RevokeApiKey", revoked.id)
    await _manage(authz, "RollApiKey", rolled.id, overlap_in_seconds=0)
    refused = {
        "wrong signature": replace(genuine, secret=genuine.secret + "x"),
        "unknown key": replace(genuine, publishable="pk_test_" + "0" * 24),
        "another merchant's secret": replace(genuine, secret=bound.secret),
        "revoked key": revoked,
        "revoked key, wrong signature": replace(revoked, secret=genuine.secret),
        "expired key": rolled,
        "expired key, wrong signature": replace(rolled, secret=genuine.secret),
        "wrong signature, from elsewhere, without rights": replace(bound, secret=genuine.secret),
    }
    before = len(edge.intents.callers)

    answers = {why: await edge.call("POST", PATH, BODY, keys=keys) for why, keys in refused.items()}

    seen = {why: _seen(answer) for why, answer in answers.items()}
    first = seen["wrong signature"]
    assert first[0] == 401
    assert {why: each for why, each in seen.items() if each != first} == {}
    assert len(edge.intents.callers) == before
    assert (await edge.call("POST", PATH, BODY, keys=genuine)).status == 200


@pytest.mark.parametrize(
    ("granted", "method", "path", "passes"),
    [
        ({"payment_intents": "read"}, "GET", PATH, True),
        ({"payment_intents": "read"}, "GET", f"{PATH}/pi_1", True),
        ({"payment_intents": "read"}, "POST", PATH, False),
        ({"payment_intents": "read"}, "POST", f"{PATH}/pi_1/cancel", False),
        ({"payment_intents": "read"}, "POST", f"{PATH}/pi_1/capture", False),
        ({"payment_intents": "read_write"}, "POST", PATH, True),
        ({"payment_intents": "read_write"}, "GET", f"{PATH}/pi_1/transactions", False),
        ({"payment_intents": "read_write"}, "GET", "/events", False),
        ({"payment_intents": "read_write"}, "POST", "/webhook-endpoints", False),
        ({"transactions": "read_write"}, "POST", PATH, False),
        ({"card_tokens": "read_write"}, "GET", PATH, False),
    ],
)
async def test_a_request_beyond_the_rights_of_its_key_reaches_nothing(
    authz: Authz, edge: Edge, *, granted: dict[str, str], method: str, path: str, passes: bool
) -> None:
    keys = await authz.new_keys(rights=_rights(**granted))
    content = BODY if method == "POST" and path == PATH else b""
    before = len(edge.intents.callers)

    answer = await edge.call(method, path, content, keys=keys)

    if passes:
        assert answer.status == 200
    else:
        error = one_error(answer.content)
        assert (answer.status, error["code"]) == (403, "key_not_permitted")
        assert error["type"] == "authentication_error"
    assert len(edge.intents.callers) - before == int(passes)


async def test_a_request_without_the_right_is_looked_at_no_further(
    authz: Authz, edge: Edge
) -> None:
    keys = await authz.new_keys(rights=_rights(payment_intents="read"))
    nonce = str(uuid.uuid4())
    bad = b'{"colour":"red"}'

    refused = await edge.send("POST", PATH, bad, keys.signed("POST", PATH, bad, nonce=nonce))
    passed = await edge.send("GET", PATH, headers=keys.signed("GET", PATH, nonce=nonce))

    assert (refused.status, one_error(refused.content)["code"]) == (403, "key_not_permitted")
    assert passed.status == 200, "the refused request used the nonce up"


@pytest.mark.parametrize("forged", [{}, FORGERIES])
@pytest.mark.parametrize(
    ("networks", "passes"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.0/8", "2001:db8::/32"], True),
        (["127.0.0.2"], False),
        ([ELSEWHERE], False),
        (["::/0"], False),
    ],
)
async def test_a_key_works_from_its_networks_whatever_the_client_says(
    authz: Authz, edge: Edge, networks: list[str], passes: bool, forged: dict[str, str]
) -> None:
    keys = await authz.new_keys(networks=networks)
    before = len(edge.intents.callers)

    answer = await edge.call("POST", PATH, BODY, forged, keys=keys)

    if passes:
        assert answer.status == 200
    else:
        code = one_error(answer.content)["code"]
        assert (answer.status, code) == (403, "ip_address_not_allowed")
    assert len(edge.intents.callers) - before == int(passes)


async def test_a_header_sent_twice_moves_no_address(authz: Authz, edge: Edge) -> None:
    keys = await authz.new_keys(networks=[ELSEWHERE])
    lines = [f"{name}: {value}" for name, value in keys.signed("GET", PATH).items()]
    lines += [f"{name}: {value}" for name, value in FORGERIES.items()] * 2
    head = [f"GET {PATH} HTTP/1.1", "Host: localhost", "Connection: close", *lines]

    status, content = await edge.raw("\r\n".join([*head, "", ""]).encode())

    assert (status, one_error(content)["code"]) == (403, "ip_address_not_allowed")


async def test_a_service_is_not_told_what_a_client_says_of_its_address(edge: Edge) -> None:
    await edge.call("GET", f"{PATH}/pi_1", headers=FORGERIES)

    assert "x-client-address" not in edge.intents.metadata[-1]


async def test_behind_a_load_balancer_its_word_counts_and_no_more(
    authz: Authz, tls: Path, tmp_path: Path
) -> None:
    trusting = {"xff_num_trusted_hops: 0": "xff_num_trusted_hops: 1"}
    keys = await authz.new_keys(networks=[ELSEWHERE])
    port = authz.http_url.rpartition(":")[2]
    async with running_edge(tls, tmp_path, port, keys, replacing=trusting) as edge:
        passed = await edge.call("GET", PATH, headers={"X-Forwarded-For": f"10.0.0.1, {ELSEWHERE}"})
        forged = await edge.call("GET", PATH, headers={"X-Forwarded-For": f"{ELSEWHERE}, 10.0.0.1"})

    assert (passed.status, forged.status) == (200, 403)


async def test_without_the_word_of_envoy_a_bound_key_does_not_work(authz: Authz) -> None:
    keys = await authz.new_keys(networks=["0.0.0.0/0", "::/0"])

    answer = await authz.ask("GET", PATH, headers=keys.signed("GET", PATH))

    assert (answer.status, answer.error["code"]) == (403, "ip_address_not_allowed")


async def test_a_restriction_counts_for_a_key_that_is_in_use(authz: Authz, edge: Edge) -> None:
    keys: Keys = await authz.new_keys()
    assert (await edge.call("GET", PATH, keys=keys)).status == 200

    await _manage(authz, "RestrictApiKey", keys.id, rights=_rights(events="read"))

    for _ in range(100):
        answer = await edge.call("GET", PATH, keys=keys)
        if answer.status != 200:
            break
        await asyncio.sleep(0.1)
    assert one_error(answer.content)["code"] == "key_not_permitted"
