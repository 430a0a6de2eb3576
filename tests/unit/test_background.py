"""Loops that must not die unnoticed."""

from __future__ import annotations

import asyncio
import signal

import pytest

from chassis.background import keep_running


async def _fail() -> None:
    raise ValueError("a bug")


async def _end() -> None:
    return None


async def test_the_process_ends_with_a_loop_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked_to_end.set)
    try:
        task = keep_running(_fail(), "consumer of nothing")
        await asyncio.wait_for(asked_to_end.wait(), 10)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)

    assert isinstance(task.exception(), ValueError)
    assert "consumer of nothing" in caplog.text


async def test_a_loop_that_is_stopped_or_ends_by_itself_ends_nothing_else() -> None:
    stopped = keep_running(asyncio.sleep(60), "stopped")
    stopped.cancel()
    await asyncio.gather(stopped, keep_running(_end(), "ended"), return_exceptions=True)

    assert stopped.cancelled()
