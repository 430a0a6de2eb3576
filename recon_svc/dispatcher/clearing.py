"""Looks into the inbox of clearing files, and after what waits, again and again."""

from __future__ import annotations

import asyncio
import logging

from opentelemetry import metrics

from chassis.background import keep_running
from chassis.errors import ServiceUnavailable
from recon_svc.handlers.clearing import ClearingHandlers
from recon_svc.store.breaks import BreakStore

LOG = logging.getLogger(__name__)
POLL_S = 2.0

_meter = metrics.get_meter("paymesh")
open_breaks = _meter.create_gauge(
    "paymesh_open_breaks", unit="{break}", description="Breaks that nobody has resolved yet."
)


class ClearingDispatcher:
    """Runs the import; a run that fails or is stopped goes on the next time."""

    def __init__(self, handlers: ClearingHandlers, breaks: BreakStore) -> None:
        self._handlers = handlers
        self._breaks = breaks
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
                open_breaks.set(await self._breaks.open())
            except ServiceUnavailable as away:
                LOG.info("clearing files wait", extra={"reason": away.message})
            await asyncio.sleep(POLL_S)
