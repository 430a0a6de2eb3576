"""Loops that run as long as their process: when one fails, so does the process.

A service that answers while its consumer is dead looks healthy and is not. Whoever runs the process
starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

LOG = logging.getLogger(__name__)


def keep_running(loop: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a loop; if it raises anything, the process drains and ends."""
    task = asyncio.create_task(loop, name=name)
    task.add_done_callback(_end_process_on_failure)
    return task


def _end_process_on_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.critical("a loop failed, the process ends: %s", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
