"""Loops that run as long as their process: when one fails, so does the process.

A service that answers while its consumer is dead looks healthy and is not. Whoever runs the process
starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from chassis.errors import ServiceUnavailable

LOG = logging.getLogger(__name__)


def keep_running(loop: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a loop; if it raises anything, the process drains and ends."""
    task = asyncio.create_task(loop, name=name)
    task.add_done_callback(_end_process_on_failure)
    return task


class Repeated:
    """Does a piece of work again and again beside a server, `pause_s` after it was done.

    What it can't do since another part is away it does the next time.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        self._name = name
        self._work = work
        self._pause_s = pause_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        self._task = keep_running(self._go_on(), name=self._name)

    async def stop(self) -> None:
        """Finish what is under way, and do it no more."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._work()
            except ServiceUnavailable:
                LOG.warning("put off until another part is back", extra={"work": self._name})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._pause_s)


def _end_process_on_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.critical("a loop failed, the process ends: %s", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
