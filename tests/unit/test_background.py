"""Loops that must not die unnoticed."""

from __future__ import annotations

import asyncio
import signal

import pytest

from chassis.background import Repeated, keep_running
from chassis.errors import ServiceUnavailable


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


async def test_what_is_repeated_goes_on_after_another_part_was_away() -> None:
    done, tries = asyncio.Event(), 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ServiceUnavailable
        done.set()

    repeated = Repeated("work", work, pause_s=0)
    await repeated.start()
    await asyncio.wait_for(done.wait(), 10)
    await repeated.stop()

    assert tries >= 3


async def test_what_is_repeated_is_finished_when_it_is_stopped() -> None:
    begun, go_on, finished = asyncio.Event(), asyncio.Event(), 0

    async def work() -> None:
        nonlocal finished
        begun.set()
        await go_on.wait()
        finished += 1

    repeated = Repeated("work", work, pause_s=60)
    await repeated.start()
    await begun.wait()
    stopping = asyncio.create_task(repeated.stop())
    go_on.set()
    await asyncio.wait_for(stopping, 10)

    assert finished == 1
