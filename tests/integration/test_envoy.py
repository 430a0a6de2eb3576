"""The edge's configuration in a real Envoy, with the real edge/authz behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.integration.authz_client import Authz, free_port
from tests.integration.edge_parts import (
    CARD_NUMBER,
    INTENTS,
    Edge,
    one_error,
    running_edge,
)

pytestmark = pytest.mark.integration

GOOD = json.dumps({"amountInCents": 1099, "currency": "usd"}).encode()


@pytest.fixture(scope="module")
async def edge(
    authz: Authz, tls: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Edge]:
    """Run Envoy before edge/authz and one service; the other two are out of service."""
    folder = tmp_path_factory.mktemp("envoy")
    authz_port = authz.http_url.rpartition(":")[2]
    async with running_edge(tls, folder, authz_port, await authz.new_keys()) as running:
        yield running


@pytest.mark.parametrize(
    ("intent", "status", "code", "param"),
    [
        ("pi_invalid", 400, "parameter_invalid", "card.number"),
        ("pi_crash", 500, "internal_error", None),
        ("pi_away", 503, "service_unavailable", None),
        ("pi_bare", 503, "service_unavailable", None),
    ],
)
async def test_what_a_service_raises_becomes_the_one_error_body(
    edge: Edge, intent: str, status: int, code: str, param: str | None
) -> None:
    answer = await edge.call("GET", f"/payment-intents/{intent}")

    error = one_error(answer.content)
    assert answer.status == status
    assert (error["code"], error.get("param")) == (code, param)
    assert error["type"] == ("invalid_request_error" if status == 400 else "api_error")
    assert error["requestId"] == answer.headers["request-id"]
    assert answer.headers["content-type"] == "application/json"
    assert not {name for name in answer.headers if name.startswith(("grpc-", "x-paymesh", "x-env"))}
    for secret in (CARD_NUMBER.encode(), b"inner detail"):
        assert secret not in answer.content


async def test_a_service_is_told_who_calls_and_never_the_key(edge: Edge) -> None:
    answer = await edge.call(
        "GET", "/payment-intents/pi_1", headers={"X-Merchant-Id": "mer_other", "X-Request-Id": "y"}
    )

    assert answer.status == 200
    assert edge.intents.callers[-1] == (edge.keys.merchant_id, "test")
    assert edge.intents.metadata[-1]["x-request-id"] == answer.headers["request-id"]
    seen = edge.intents.metadata[-1]
    assert seen["x-merchant-id"] == edge.keys.merchant_id
    assert edge.keys.publishable not in str(seen)


async def test_a_read_is_repeated_and_a_write_is_not(edge: Edge) -> None:
    body = GOOD[:-1] + b',"description":"away"}'
    before = len(edge.intents.callers)

    read = await edge.call("GET", "/payment-intents/pi_away")
    after_read = len(edge.intents.callers)
    write = await edge.call("POST", "/payment-intents", body)

    assert (read.status, write.status) == (503, 503)
    assert (after_read - before, len(edge.intents.callers) - after_read) == (3, 1)


async def test_a_replay_is_told(edge: Edge) -> None:
    for description, replayed in (("fresh", None), ("again", "true")):
        body = GOOD[:-1] + f',"description":"{description}"}}'.encode()
        answer = await edge.call("POST", "/payment-intents", body)
        assert answer.status == 200
        assert answer.headers.get("idempotent-replayed") == replayed


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/events"), ("POST", "/payment-intents/pi_1/transactions")]
)
async def test_a_service_that_is_away_is_told_so(edge: Edge, method: str, path: str) -> None:
    answer = await edge.call(method, path)

    assert answer.status == 503
    assert one_error(answer.content)["code"] == "service_unavailable"


async def test_without_edge_authz_nothing_passes(authz: Authz, tls: Path, tmp_path: Path) -> None:
    async with running_edge(tls, tmp_path, str(free_port()), await authz.new_keys()) as edge:
        answer = await edge.call("GET", "/payment-intents/pi_1")

        assert answer.status == 503
        assert one_error(answer.content)["code"] == "service_unavailable"
        assert edge.intents.callers == []


async def test_a_body_over_the_limit_is_refused_before_any_check(edge: Edge) -> None:
    answer = await edge.send("POST", "/payment-intents", b" " * 65_537)

    assert answer.status == 413
    assert one_error(answer.content)["code"] == "request_too_large"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/payment-intentsX"),
        ("PUT", "/payment-intents"),
        ("TRACE", "/payment-intents"),
        ("POST", "/payment-intents/"),
        ("POST", f"/{INTENTS}/CreatePaymentIntent"),
    ],
)
async def test_a_path_without_a_meaning_reaches_no_service(
    edge: Edge, method: str, path: str
) -> None:
    before = len(edge.intents.callers)

    answer = await edge.call(method, path, GOOD if method == "POST" else b"")

    assert answer.status == 404
    assert one_error(answer.content)["code"] == "resource_missing"
    assert len(edge.intents.callers) == before


REQUEST = b"GET /payment-intents HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"FOO /payment-intents", 400),
        (b"GET /payment-intents/\x80", 400),
        (b"GET /payment-intents/\x7f", 400),
        (b"GET /payment-intents/a%2Fb", 400),
        (b"GET /payment-intents#frag", 400),
        (b"GET *", 400),
        (b'GET /payment-intents?{}|^"<>`', 401),
        (b"GET /payment-intents/../events", 401),
        (b"GET //payment-intents//x", 401),
        (b"CONNECT a:1", 404),
    ],
)
async def test_a_request_line_that_no_client_sends_gets_the_one_error_body(
    edge: Edge, request_line: bytes, status: int
) -> None:
    found, content = await edge.raw(
        REQUEST.replace(b"GET /payment-intents", request_line) + b"\r\n"
    )

    assert found == status
    one_error(content)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"x_under: 1", 400),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        (b"Transfer-Encoding: gzip", 400),
        (b"authorization: Bearer \xff\x80", 401),
        (b"x-signature: sha256=\xff", 401),
        (b"content-type: application/grpc", 415),
        (b"content-type: application/grpc-web", 415),
        (b"content-type: APPLICATION/GRPC+proto", 415),
    ],
)
async def test_a_header_that_no_client_sends_gets_the_one_error_body(
    edge: Edge, header: bytes, status: int
) -> None:
    found, content = await edge.raw(REQUEST + header + b"\r\n\r\n")

    assert found == status
    one_error(content)


async def test_the_access_log_tells_what_happened_and_no_secrets(edge: Edge) -> None:
    passed = await edge.call("GET", "/payment-intents/pi_1")
    failed = await edge.call("GET", "/payment-intents/pi_invalid")
    refused = await edge.call("GET", f"/payment-intents?number={CARD_NUMBER}")
    grouped = "/".join(CARD_NUMBER[at : at + 4] for at in range(0, 16, 4))
    encoded = "".join(f"%{ord(digit):x}" for digit in CARD_NUMBER)
    paths = [f"/payment-intents/{text}" for text in (CARD_NUMBER, grouped, encoded)]
    misled = [await edge.call("GET", path) for path in paths]
    ids = [answer.headers["request-id"] for answer in (passed, failed, refused, *misled)]

    rows = await asyncio.wait_for(edge.logged(ids), 10)

    merchant_id = edge.keys.merchant_id
    assert [row["path"] for row in rows[3:]] == ["hidden"] * 3
    rows = rows[:3]
    assert [row["status"] for row in rows] == [200, 400, 400]
    assert [row.get("error_code") for row in rows] == [
        None,
        "parameter_invalid",
        "parameter_unknown",
    ]
    assert [row.get("merchant_id") for row in rows] == [merchant_id, merchant_id, None]
    assert [row["path"] for row in rows][2] == "/payment-intents"
    text = edge.access_log_text()
    for secret in (
        CARD_NUMBER,
        grouped,
        encoded,
        edge.keys.publishable,
        edge.keys.secret,
        "Bearer",
        "sha256=",
    ):
        assert secret not in text


async def test_each_merchant_has_a_bucket_and_is_told_when_to_retry(
    authz: Authz, tls: Path, tmp_path: Path
) -> None:
    """With a bucket that no machine is too slow to empty."""
    bucket = "{max_tokens: 500, tokens_per_fill: 250, fill_interval: 1s}"
    small = {bucket: "{max_tokens: 5, tokens_per_fill: 5, fill_interval: 60s}"}
    authz_port = authz.http_url.rpartition(":")[2]
    greedy = await authz.new_keys()
    path = "/payment-intents/pi_1"
    async with running_edge(
        tls, tmp_path, authz_port, await authz.new_keys(), replacing=small
    ) as edge:
        answers = [
            await edge.send("GET", path, headers=greedy.signed("GET", path)) for _ in range(6)
        ]
        another = await edge.call("GET", path)

    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    error = one_error(answers[-1].content)
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limited")
    assert another.status == 200


async def test_nobody_uses_up_the_requests_of_somebody_else(edge: Edge) -> None:
    """A path that needs no key would take a forged name of a bucket for whose request it is."""
    forged = {"X-Rate-Limit-Key": edge.keys.merchant_id, "X-Merchant-Id": edge.keys.merchant_id}

    health = await edge.send("GET", "/healthz", headers=forged)
    mine = await edge.call("GET", "/payment-intents/pi_1", headers=forged)

    assert health.headers["x-ratelimit-limit"] != mine.headers["x-ratelimit-limit"] == "500"


async def test_statistics_are_read_and_nothing_else_of_the_admin_interface(edge: Edge) -> None:
    await edge.call("GET", "/payment-intents/pi_1")

    async with aiohttp.ClientSession() as session:
        async with session.get(f"{edge.metrics_url}/stats/prometheus") as answer:
            text = await answer.text()
        refused = {}
        for method, path in (
            *(("GET", "/"), ("GET", "/config_dump"), ("GET", "/stats"), ("GET", "/certs")),
            *(("GET", "/stats/prometheus/"), ("GET", "/stats/prometheus?filter=a")),
            *(("GET", "/stats/prometheus/../../config_dump"), ("GET", "/stats//prometheus")),
            *(("POST", "/stats/prometheus"), ("POST", "/runtime_modify?tracing.x=1")),
            *(("POST", "/quitquitquit"), ("GET", "/healthz"), ("GET", "/payment-intents/pi_1")),
        ):
            url = URL(edge.metrics_url + path, encoded=True)
            async with session.request(method, url) as answer:
                refused[method, path] = answer.status

    assert 'envoy_http_downstream_rq_xx{envoy_response_code_class="2"' in text
    assert set(refused.values()) == {404}, refused
