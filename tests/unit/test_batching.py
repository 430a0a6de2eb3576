"""Write coalescing: one flush at a time, one verdict per item, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
