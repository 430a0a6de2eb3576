"""Coalesces concurrent calls of one process into one statement or one RPC over a set of items.

A statement or a message costs far more than an item in it, so handlers stay per payment and only
the last step sees sets.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from opentelemetry.trace import SpanContext

from chassis import spans
from chassis.errors import DomainError, Overloaded
from chassis.telemetry import batch_items

Item = TypeVar("Item")
Result = TypeVar("Result")
Waiting = tuple[Item, asyncio.Future[Result], SpanContext | None]
Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Result | DomainError]]]


class Coalescer(Generic[Item, Result]):
    """Collects items while a flush is in flight, and flushes them together when it is done.

    flush: takes 1 to `items_max` items and returns one verdict each, in order: a result, or the
        DomainError that this item's caller gets. A DomainError that it raises is every item's. If
        it raises anything else for more than one item, each is tried again alone, so one bad item
        does not fail its neighbours; it must therefore be safe to repeat.
    linger_s: how long to wait for more when several are waiting already; a lone item never waits.
    waiting_max: more waiting items than this are refused with Overloaded.

    A flush runs in a span if one of its items was submitted in a sampled one.
    """

    def __init__(
        self,
        name: str,
        flush: Flush[Item, Result],
        *,
        items_max: int = 128,
        linger_s: float = 0.002,
        waiting_max: int = 10_000,
    ) -> None:
        self._name = name
        self._flush = flush
        self._items_max = items_max
        self._linger_s = linger_s
        self._waiting_max = waiting_max
        self._waiting: deque[Waiting[Item, Result]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._attributes = {"coalescer": name}

    async def submit(self, item: Item) -> Result:
        """Return the result of this item, or raise its DomainError or what the flush raised.

        A caller that is canceled leaves its item in the batch: what was asked for is done.
        """
        if len(self._waiting) >= self._waiting_max:
            raise Overloaded
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future, spans.current()))
        if self._writer is None:
            # It outlives this caller and works for others, so it knows nothing of the caller.
            self._writer = asyncio.create_task(
                self._write(), name=f"coalescer {self._name}", context=contextvars.Context()
            )
        return await future

    async def close(self) -> None:
        """Wait until nothing is waiting."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        try:
            await asyncio.sleep(0)  # callers that are ready in this turn of the loop come along
            while self._waiting:
                if 1 < len(self._waiting) < self._items_max:
                    await asyncio.sleep(self._linger_s)
                count = min(len(self._waiting), self._items_max)
                await self._settle([self._waiting.popleft() for _ in range(count)])
        finally:
            self._writer = None

    async def _settle(self, batch: list[Waiting[Item, Result]]) -> None:
        batch_items.record(len(batch), self._attributes)
        with spans.batch_span(self._name, [span for _, _, span in batch]):
            verdicts = await self._verdicts([item for item, _, _ in batch])
        for (_, future, _), verdict in zip(batch, verdicts, strict=True):
            if future.done():  # the caller is gone
                continue
            if isinstance(verdict, BaseException):
                future.set_exception(verdict)
            else:
                future.set_result(verdict)

    async def _verdicts(self, items: list[Item]) -> Sequence[Result | BaseException]:
        flushed = await asyncio.gather(self._flush(items), return_exceptions=True)
        [outcome] = flushed
        if not isinstance(outcome, BaseException):
            return outcome
        if isinstance(outcome, DomainError):
            return [outcome] * len(items)
        if len(items) == 1:
            return [outcome]
        return [verdict for item in items for verdict in await self._verdicts([item])]
