"""Looks into the inbox of clearing files, and after what waits, again and again."""

from __future__ import annotations

import asyncio
import logging

from opentelemetry import metrics

from chassis.background import keep_running
from chassis.clock import Clock
from chassis.errors import ServiceUnavailable
from recon_svc.domain.breaks import BreakKind
from recon_svc.handlers.clearing import ClearingHandlers
from recon_svc.store.breaks import BreakStore

LOG = logging.getLogger(__name__)
POLL_S = 2.0

_meter = metrics.get_meter("paymesh")
open_breaks = _meter.create_gauge(
    "paymesh_open_breaks",
    unit="{break}",
    description="Breaks that nobody has resolved yet, by kind.",
)
oldest_open_break = _meter.create_gauge(
    "paymesh_oldest_open_break",
    unit="s",
    description="How long ago the oldest of them was found, by kind.",
)


class ClearingDispatcher:
    """Runs the import; a run that fails or is stopped goes on the next time."""

    def __init__(self, handlers: ClearingHandlers, breaks: BreakStore, clock: Clock) -> None:
        self._handlers = handlers
        self._breaks = breaks
        self._clock = clock
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look in the background."""
        self._loop = keep_running(self._work(), name="clearing")

    async def stop(self) -> None:
        """Stop, wherever the import is: what is not committed is done again."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                await self._handlers.run()
                await self._measure()
            except ServiceUnavailable as away:
                LOG.info("clearing files wait", extra={"reason": away.message})
            await asyncio.sleep(POLL_S)

    async def _measure(self) -> None:
        found, now = await self._breaks.open(), self._clock.now()
        for kind in BreakKind:
            number, oldest = found.get(kind, (0, now))
            open_breaks.set(number, {"kind": kind})
            age_s = max(0.0, (now - oldest).total_seconds())
            oldest_open_break.set(age_s, {"kind": kind})
