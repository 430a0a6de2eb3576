"""Write coalescing: one flush at a time, one verdict per item, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis import spans
from chassis.batching import Coalescer
from chassis.errors import Overloaded, ResourceMissing, ServiceUnavailable


class Flushes:
    """A store that notes its batches and may be told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.at_once = 0
        self.at_once_max = 0

    async def flush(self, items: Sequence[int]) -> list[int | ResourceMissing]:
        self.batches.append(list(items))
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if 13 in items:
            raise ValueError("thirteen")
        return [ResourceMissing("odd") if item % 2 else item * 10 for item in items]


async def test_a_lone_call_is_flushed_alone_and_at_once() -> None:
    store = Flushes()

    assert await Coalescer("t", store.flush).submit(4) == 40
    assert store.batches == [[4]]


async def test_calls_together_share_flushes_one_at_a_time() -> None:
    store = Flushes()
    coalescer = Coalescer("t", store.flush, items_max=16)

    results = await asyncio.gather(*(coalescer.submit(2 * n) for n in range(100)))

    assert results == [20 * n for n in range(100)]
    assert len(store.batches) < 20
    assert max(map(len, store.batches)) <= 16
    assert store.at_once_max == 1


async def test_each_item_has_its_own_verdict() -> None:
    coalescer = Coalescer("t", Flushes().flush)

    even, odd = await asyncio.gather(
        coalescer.submit(2), coalescer.submit(3), return_exceptions=True
    )

    assert even == 20
    assert isinstance(odd, ResourceMissing)


async def test_one_bad_item_does_not_fail_its_neighbours() -> None:
    coalescer = Coalescer("t", Flushes().flush)

    results = await asyncio.gather(
        *(coalescer.submit(item) for item in (2, 13, 4)), return_exceptions=True
    )

    assert results[0] == 20
    assert isinstance(results[1], ValueError)
    assert results[2] == 40


async def test_what_is_away_is_away_for_every_item_and_not_asked_again() -> None:
    batches = []

    async def away(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        raise ServiceUnavailable("away")

    coalescer: Coalescer[int, int] = Coalescer("t", away)

    results = await asyncio.gather(
        *(coalescer.submit(item) for item in (1, 2, 3)), return_exceptions=True
    )

    assert all(isinstance(result, ServiceUnavailable) for result in results)
    assert batches == [[1, 2, 3]]


async def test_a_caller_that_goes_away_does_not_disturb_the_batch() -> None:
    store = Flushes()
    coalescer = Coalescer("t", store.flush)

    gone = asyncio.create_task(coalescer.submit(2))
    stays = asyncio.create_task(coalescer.submit(4))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays == 40
    assert sorted(item for batch in store.batches for item in batch) == [2, 4]


async def test_more_than_may_wait_are_refused() -> None:
    coalescer = Coalescer("t", Flushes().flush, waiting_max=3)

    results = await asyncio.gather(*(coalescer.submit(2) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(result, Overloaded) for result in results) == 2


async def test_a_flush_is_the_child_of_its_first_sampled_item_and_linked_to_the_others(
    exported: InMemorySpanExporter,
) -> None:
    coalescer = Coalescer("t", Flushes().flush)

    async def request(header: str, item: int) -> None:
        with spans.server_span("request", header):
            await asyncio.gather(coalescer.submit(item), coalescer.submit(item))

    await asyncio.gather(
        request(spans.NOT_SAMPLED, 2),
        *(request(f"00-{trace:032x}-{0xB:016x}-01", 2) for trace in (0xA1, 0xA2, 0xA3)),
    )

    flush, *requests = exported.get_finished_spans()
    assert [span.name for span in (flush, *requests)] == ["t", *["request"] * 3]
    first, second, third = sorted(span.context for span in requests)
    assert flush.parent == first
    assert flush.context.trace_id == 0xA1
    assert [link.context for link in flush.links] == [second, third]


async def test_a_flush_without_a_sampled_item_has_no_span(exported: InMemorySpanExporter) -> None:
    with spans.server_span("request", spans.NOT_SAMPLED):
        await Coalescer("t", Flushes().flush).submit(2)

    assert exported.get_finished_spans() == ()


async def test_what_a_flush_calls_is_inside_its_span_also_when_items_are_tried_alone(
    exported: InMemorySpanExporter,
) -> None:
    seen = []

    async def flush(items: Sequence[int]) -> list[int]:
        seen.append(spans.current())
        if len(items) > 1:
            raise ValueError("together")
        return list(items)

    coalescer: Coalescer[int, int] = Coalescer("t", flush)
    with spans.server_span("request", f"00-{0xA:032x}-{0xB:016x}-01"):
        await asyncio.gather(coalescer.submit(1), coalescer.submit(2))

    flushed, _ = exported.get_finished_spans()
    assert seen == [flushed.context] * 3


async def test_nothing_of_the_first_caller_is_known_to_the_flushes_of_others(
    exported: InMemorySpanExporter,
) -> None:
    caller: ContextVar[str] = ContextVar("caller", default="nobody")
    seen = []

    async def flush(items: Sequence[int]) -> list[int]:
        seen.append((caller.get(), spans.current()))
        await asyncio.sleep(0)
        return list(items)

    coalescer: Coalescer[int, int] = Coalescer("t", flush, items_max=1)

    async def request(name: str, header: str) -> None:
        caller.set(name)
        with spans.server_span("request", header):
            await coalescer.submit(1)

    await asyncio.gather(
        request("first", f"00-{0xA:032x}-{0xB:016x}-01"), request("second", spans.NOT_SAMPLED)
    )

    flushed, _ = exported.get_finished_spans()
    assert seen == [("nobody", flushed.context), ("nobody", None)]
