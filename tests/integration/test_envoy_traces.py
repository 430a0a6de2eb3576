"""Traces begin at the edge: a real Envoy decides which, edge/authz and the service are in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.integration.authz_client import Authz
from tests.integration.collector import Collector
from tests.integration.edge_parts import Edge, running_edge

pytestmark = pytest.mark.integration

CLIENTS = {
    "traceparent": f"00-{0xA1:032x}-{0xB1:016x}-01",
    "tracestate": "client=1",
    "x-client-trace-id": "1",
    "x-envoy-force-trace": "true",
}


@pytest.fixture(scope="module")
async def edge(
    authz: Authz, tls: Path, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> AsyncIterator[Edge]:
    """Run Envoy with a collector."""
    folder = tmp_path_factory.mktemp("envoy")
    authz_port = authz.http_url.rpartition(":")[2]
    keys = await authz.new_keys()
    async with running_edge(
        tls, folder, authz_port, keys, collector_port=collector.port
    ) as running:
        yield running


async def _sample(edge: Edge, percent: int) -> None:
    """Trace so many of a hundred requests from now on."""
    url = f"{edge.admin_url}/runtime_modify?tracing.random_sampling={percent * 100}"
    async with aiohttp.ClientSession() as session, session.post(url) as answer:
        assert answer.status == 200


async def _traceparent(edge: Edge, path: str = "/payment-intents/pi_1") -> list[str]:
    """Make a request that wants to be traced; return what the service was told."""
    answer = await edge.call("GET", path, headers=CLIENTS)
    assert answer.status == 200
    seen = edge.intents.metadata[-1]
    assert not seen.get("tracestate")
    return str(seen["traceparent"]).split("-")


async def test_a_client_can_not_have_its_request_traced(edge: Edge) -> None:
    await _sample(edge, 0)

    found = [await _traceparent(edge) for _ in range(5)]

    assert {flags for _, _, _, flags in found} == {"00"}
    assert f"{0xA1:032x}" not in {trace for _, trace, _, _ in found}


async def test_a_request_that_is_traced_has_a_trace_of_its_own(edge: Edge) -> None:
    await _sample(edge, 100)

    found = [await _traceparent(edge) for _ in range(5)]

    assert {flags for _, _, _, flags in found} == {"01"}
    assert len({trace for _, trace, _, _ in found} - {f"{0xA1:032x}"}) == 5
    assert f"{0xB1:016x}" not in {span for _, _, span, _ in found}


async def test_a_card_number_in_a_path_or_a_header_is_in_no_span(
    edge: Edge, collector: Collector
) -> None:
    await _sample(edge, 100)
    number = "4929123498761238"
    answer = await edge.call(
        "GET",
        f"/payment-intents/{number}",
        headers={"User-Agent": number, "Referer": number, "X-Number": number},
    )
    _, trace, _, _ = str(edge.intents.metadata[-1]["traceparent"]).split("-")

    rows = await asyncio.wait_for(collector.trace(trace, "edge", "authz"), 30)

    assert answer.status == 200
    assert "hidden" in str(rows)
    assert number not in str(rows)


async def test_a_trace_goes_from_the_edge_to_its_checks_without_secrets(
    edge: Edge, collector: Collector
) -> None:
    await _sample(edge, 100)
    _, trace, span_id, _ = await _traceparent(edge, "/payment-intents?limit=77")

    rows = await asyncio.wait_for(collector.trace(trace, "edge", "authz"), 30)

    by_name = {(service, span.name): span for service, span in rows}
    ingress = by_name["edge", "ingress"]
    to_service, to_authz = (
        by_name["edge", "router intent egress"],
        by_name["edge", "async authz egress"],
    )
    check = by_name["authz", "edge.authz/Check"]
    assert not ingress.parent_span_id
    assert to_service.span_id.hex() == span_id
    assert to_service.parent_span_id == to_authz.parent_span_id == ingress.span_id
    assert check.parent_span_id == to_authz.span_id
    text = str(rows)
    assert "/payment-intents" in text
    for secret in ("limit", edge.keys.publishable, edge.keys.secret, "Bearer", "sha256="):
        assert secret not in text
