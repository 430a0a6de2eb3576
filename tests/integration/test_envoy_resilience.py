"""What the edge does when services fail, when too much arrives, and when its memory runs out.

Where a limit is too high to reach, the test lowers that number and leaves the rest of
edge/envoy.yaml as it is. What counts are the calls that services saw and Envoy's own statistics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
import pytest

from tests.integration.authz_client import Answer, Authz
from tests.integration.edge_parts import Edge, one_error, running_edge, until
from tests.integration.reset_backend import Reset, running_reset_backend

pytestmark = pytest.mark.integration

READ = ("GET", "/payment-intents/pi_1")
HELD = ("GET", "/payment-intents/pi_held")
WRITE = ("POST", "/payment-intents", b'{"amountInCents":1099,"currency":"usd"}')
CLUSTER = "cluster.intent"
OUTLIERS = f"{CLUSTER}.outlier_detection"
REFUSES_REQUESTS = "overload.envoy.overload_actions.stop_accepting_requests.active"
SOON = {"interval: 2s\n": "interval: 0.2s\n"}  # health checks
MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"
HEAP = f"{MONITORS}.fixed_heap.v3.FixedHeapConfig\n      max_heap_size_bytes: 536870912\n"
PRESSURE = f"{MONITORS}.injected_resource.v3.InjectedResourceConfig\n      filename: {{path}}\n"

StartEdge = Callable[..., AbstractAsyncContextManager[Edge]]


@pytest.fixture
async def start_edge(authz: Authz, tls: Path, tmp_path: Path) -> StartEdge:
    """Return what runs an Envoy of the test's own; see running_edge for what it takes."""
    authz_port = authz.http_url.rpartition(":")[2]
    keys = await authz.new_keys()
    return lambda **options: running_edge(tls, tmp_path, authz_port, keys, **options)


def assert_unavailable(answer: Answer) -> None:
    """Check that this is a 503 with the one error body, and nothing of Envoy's own."""
    error = one_error(answer.content)
    assert answer.status == 503
    assert (error["type"], error["code"]) == ("api_error", "service_unavailable")
    assert error["requestId"] == answer.headers["request-id"]
    assert not [name for name in answer.headers if name.startswith("x-envoy")]


async def test_of_two_services_the_one_that_fails_is_left_alone_for_a_while(
    start_edge: StartEdge,
) -> None:
    async with start_edge(services=2, replacing=SOON) as edge:
        failing, other = edge.services
        failing.is_away = True
        while len(failing.callers) < 10:
            await edge.call(*WRITE)
        await edge.until_statistic(f"{OUTLIERS}.ejections_active", lambda n: n == 1)
        checks = await edge.statistic(f"{CLUSTER}.health_check.success")
        await edge.until_statistic(f"{CLUSTER}.health_check.success", lambda n: n >= checks + 6)
        asked, answered = len(failing.callers), len(other.callers)

        answers = [await edge.call(*WRITE) for _ in range(20)]

        assert {answer.status for answer in answers} == {200}
        assert (len(failing.callers), len(other.callers)) == (asked, answered + 20)
        failing.is_away = False
        await edge.until_statistic(f"{OUTLIERS}.ejections_active", lambda n: n == 0)
        answers = [await edge.call(*WRITE) for _ in range(40)]
        assert {answer.status for answer in answers} == {200}
        assert len(failing.callers) > asked


@pytest.mark.parametrize("services", [1, 2])
async def test_the_last_service_is_asked_even_if_it_fails(
    start_edge: StartEdge, services: int
) -> None:
    longer = {
        "base_ejection_time: 5s": "base_ejection_time: 300s",
        "max_ejection_time: 30s": "max_ejection_time: 300s",
    }
    async with start_edge(services=services, replacing=longer) as edge:
        for service in edge.services:
            service.is_away = True

        answers = [await edge.call(*WRITE) for _ in range(40)]

        assert {answer.status for answer in answers} == {503}
        assert sum(len(service.callers) for service in edge.services) == 40
        await edge.until_statistic(f"{OUTLIERS}.ejections_overflow", lambda n: n > 0)
        assert await edge.statistic(f"{OUTLIERS}.ejections_active") == services - 1


async def test_a_service_that_failed_often_is_asked_again_after_half_a_minute(
    start_edge: StartEdge,
) -> None:
    async with start_edge() as edge:
        ejecting = {
            cluster["name"]: cluster["outlier_detection"].get("max_ejection_time")
            for cluster in await edge.clusters()
            if "outlier_detection" in cluster
        }

    assert ejecting == dict.fromkeys(("intent", "txn", "webhook"), "30s")


async def test_a_service_whose_health_check_fails_is_not_asked_until_it_passes(
    start_edge: StartEdge,
) -> None:
    async with start_edge(replacing=SOON) as edge:
        await edge.intents.serve(healthy=False)
        await edge.until_statistic(f"{CLUSTER}.membership_healthy", lambda n: n == 0)

        refused = [await edge.call(*READ), await edge.call(*WRITE)]

        for answer in refused:
            assert_unavailable(answer)
        assert edge.intents.callers == []
        await edge.intents.serve(healthy=True)
        await edge.until_statistic(f"{CLUSTER}.membership_healthy", lambda n: n == 1)
        assert (await edge.call(*READ)).status == 200


async def test_of_three_services_only_the_healthy_one_is_asked(start_edge: StartEdge) -> None:
    async with start_edge(services=3, replacing=SOON) as edge:
        for service in edge.services[1:]:
            await service.serve(healthy=False)
        await edge.until_statistic(f"{CLUSTER}.membership_healthy", lambda n: n == 1)

        answers = [await edge.call(*WRITE) for _ in range(20)]

        assert {answer.status for answer in answers} == {200}
        assert [len(service.callers) for service in edge.services] == [20, 0, 0]


async def test_above_the_limit_of_active_requests_the_next_is_refused_at_once(
    start_edge: StartEdge,
) -> None:
    async with start_edge(replacing={"max_requests: 1024\n": "max_requests: 2\n"}) as edge:
        held = _start(edge, 2)
        await until(lambda: len(edge.intents.callers) == 2)

        refused = [await edge.call(*READ), await edge.call(*WRITE)]

        for answer in refused:
            assert_unavailable(answer)
        assert len(edge.intents.callers) == 2
        assert await edge.statistic(f"{CLUSTER}.upstream_rq_active_overflow") == 2
        assert await edge.statistic(f"{CLUSTER}.circuit_breakers.default.rq_open") == 1
        edge.intents.release()
        assert [answer.status for answer in await asyncio.gather(*held)] == [200, 200]
        assert (await edge.call(*READ)).status == 200


async def test_above_the_limit_of_pending_requests_the_next_is_refused_at_once(
    start_edge: StartEdge,
) -> None:
    one_each = {
        "max_connections: 64\n": "max_connections: 1\n",
        "max_pending_requests: 1024\n": "max_pending_requests: 1\n",
        "            connection_keepalive:": (
            "            max_concurrent_streams: 1\n            connection_keepalive:"
        ),
    }
    async with start_edge(replacing=one_each) as edge:
        held = _start(edge, 1)
        await until(lambda: len(edge.intents.callers) == 1)
        held += _start(edge, 1)
        await edge.until_statistic(f"{CLUSTER}.upstream_rq_pending_active", lambda n: n == 1)

        refused = [await edge.call(*READ), await edge.call(*WRITE)]

        for answer in refused:
            assert_unavailable(answer)
        assert len(edge.intents.callers) == 1
        assert await edge.statistic(f"{CLUSTER}.upstream_rq_pending_overflow") == 2
        edge.intents.release()
        await until(lambda: len(edge.intents.callers) == 2)
        edge.intents.release()
        assert [answer.status for answer in await asyncio.gather(*held)] == [200, 200]


async def test_when_all_reads_fail_at_once_only_three_are_repeated(start_edge: StartEdge) -> None:
    async with start_edge() as edge:
        edge.intents.is_away = True
        reads = _start(edge, 10)
        await until(lambda: len(edge.intents.callers) == 10)

        edge.intents.release()
        await until(lambda: sum(read.done() for read in reads) == 7)
        await until(lambda: len(edge.intents.callers) == 13)

        assert await edge.statistic(f"{CLUSTER}.upstream_rq_retry_overflow") == 7
        edge.intents.is_away = False
        edge.intents.release()
        statuses = [answer.status for answer in await asyncio.gather(*reads)]
        assert sorted(statuses) == [200] * 3 + [503] * 7
        assert len(edge.intents.callers) == 13


@pytest.mark.parametrize(
    ("reset", "reads", "writes"),
    [
        (Reset.INTERNAL_ERROR, 3, 1),
        (Reset.CONNECTION, 3, 1),
        (Reset.REFUSED_STREAM, 3, 2),  # by RFC 9113, nothing was done with it
    ],
    ids=lambda value: value.name if isinstance(value, Reset) else str(value),
)
async def test_a_call_that_was_read_and_broken_off_is_repeated_only_if_it_reads(
    start_edge: StartEdge, tls: Path, reset: Reset, reads: int, writes: int
) -> None:
    async with (
        running_reset_backend(tls, reset) as backend,
        start_edge(services=0, other_ports=[backend.port]) as edge,
    ):
        read = await edge.call(*READ)
        after_read = backend.calls
        write = await edge.call(*WRITE)

        assert (after_read, backend.calls - after_read) == (reads, writes)
        for answer in (read, write):
            assert_unavailable(answer)


async def test_at_the_heap_limit_a_new_request_is_refused_and_an_old_one_finished(
    start_edge: StartEdge, tmp_path: Path
) -> None:
    pressure = tmp_path / "pressure"
    _press(pressure, 0.5)
    async with start_edge(replacing={HEAP: PRESSURE.format(path=pressure)}) as edge:
        held = _start(edge, 1)
        await until(lambda: len(edge.intents.callers) == 1)
        _press(pressure, 0.96)
        await edge.until_statistic(REFUSES_REQUESTS, lambda n: n == 1)

        refused = [await edge.call(*READ), await edge.send(*WRITE)]

        for answer in refused:
            assert_unavailable(answer)
            assert answer.headers["request-id"].startswith("connection-")
            await edge.until_logged(f'"{answer.headers["request-id"]}"')
        assert len(edge.intents.callers) == 1
        edge.intents.release()
        assert [answer.status for answer in await asyncio.gather(*held)] == [200]
        _press(pressure, 0.5)
        await edge.until_statistic(REFUSES_REQUESTS, lambda n: n == 0)
        assert (await edge.call(*READ)).status == 200


async def test_the_limit_is_one_of_the_real_heap_and_closes_the_door_in_the_end(
    start_edge: StartEdge,
) -> None:
    exceeded = {"max_heap_size_bytes: 536870912": "max_heap_size_bytes: 4194304"}
    async with start_edge(replacing=exceeded) as edge:
        await edge.until_statistic(REFUSES_REQUESTS, lambda n: n == 1)

        with pytest.raises(aiohttp.ClientConnectionError):
            await edge.call(*READ)

        rejected = f"listener.{edge.address}.downstream_cx_overload_reject"
        assert await edge.statistic(rejected) == 1
        assert edge.intents.callers == []


async def test_above_the_limit_of_connections_the_next_is_refused(start_edge: StartEdge) -> None:
    two = {"max_active_downstream_connections: 10000": "max_active_downstream_connections: 2"}
    async with start_edge(replacing=two) as edge, edge.session() as first:
        async with edge.session() as second:
            for session in (first, second):
                assert (await edge.call(*READ, session=session)).status == 200

            with pytest.raises(aiohttp.ClientConnectionError):
                await edge.call(*READ)

            listener = f"listener.{edge.address}"
            assert await edge.statistic(f"{listener}.downstream_global_cx_overflow") == 1
            assert (await edge.call(*READ, session=first)).status == 200
            assert len(edge.intents.callers) == 3
        await edge.until_statistic(f"{listener}.downstream_cx_active", lambda n: n == 1)
        assert (await edge.call(*READ)).status == 200


def _start(edge: Edge, number: int) -> list[asyncio.Task[Answer]]:
    """Start calls that stay in the service until it releases them."""
    return [asyncio.create_task(edge.call(*HELD)) for _ in range(number)]


def _press(path: Path, pressure: float) -> None:
    """Say how full the heap is; Envoy sees a file only when it is moved to its place."""
    new = path.with_suffix(".new")
    new.write_text(str(pressure))
    new.rename(path)
