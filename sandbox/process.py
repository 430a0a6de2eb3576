"""One process of the sandbox: how it is started, watched, started again and ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import psutil

PR_SET_PDEATHSIG = 1
BACKOFF_S_MAX = 5.0
STEADY_S = 20.0
_libc = ctypes.CDLL(None, use_errno=True)

Check = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run.

    is_healthy: asked until it says yes, then now and then. user: a numeric user id to drop to.
    stop_signal: asks the process to end. stop_s: how long it may take. metrics: the URL at which
    Prometheus would read it.
    """

    name: str
    command: Sequence[str]
    is_healthy: Check
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    user: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 10.0
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What to run once, to its end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path


class StepFailed(Exception):
    """A step that did not end well; its log says why."""


async def run_step(step: Step, log: Path) -> None:
    """Run it. Raises StepFailed."""
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *step.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **step.environment},
            cwd=step.folder,
            start_new_session=True,
            preexec_fn=_bind,
        )
        if await child.wait() != 0:
            raise StepFailed(f"{step.name} ended with {child.returncode}: see {log}")


class Process:
    """Keeps one process running until it is stopped."""

    def __init__(self, spec: Spec, log: Path, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.health = "starting"
        self.pid: int | None = None
        self.restarts = 0
        self._log = log
        self._changed = changed
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._healthy = asyncio.Event()
        self._stopping = False

    async def start(self) -> None:
        """Start it and keep it running."""
        self._keeper = asyncio.create_task(self._keep(), name=self.spec.name)

    async def healthy(self) -> None:
        """Wait until it is healthy for the first time."""
        await self._healthy.wait()

    async def restart(self) -> None:
        """End it, and return when the one that is started in its place is healthy."""
        await self._end()
        self._healthy.clear()
        await self._healthy.wait()

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._stopping = True
        await self._end()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._set(None, "stopped")

    async def _end(self) -> None:
        child = self._child
        if child is not None and child.returncode is None:
            child.send_signal(signal.SIGCONT)
            child.send_signal(self.spec.stop_signal)
            try:
                await asyncio.wait_for(child.wait(), self.spec.stop_s)
            except TimeoutError:
                child.kill()
                await child.wait()

    async def _keep(self) -> None:
        backoff_s = 0.2
        while not self._stopping:
            started_at = time.monotonic()
            with self._log.open("ab") as log:
                self._child = await self._spawn(log)
            self._set(self._child.pid, "starting")
            watcher = asyncio.create_task(self._watch())
            await self._child.wait()
            watcher.cancel()
            if self._stopping:
                return
            self._set(None, "restarting")
            self.restarts += 1
            if time.monotonic() - started_at > STEADY_S:
                backoff_s = 0.2
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)

    async def _spawn(self, log: BinaryIO) -> asyncio.subprocess.Process:
        spec = self.spec
        return await asyncio.create_subprocess_exec(
            *spec.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", **spec.environment},
            cwd=spec.folder,
            start_new_session=True,
            preexec_fn=_bind,
            user=spec.user,
            group=spec.user,
            extra_groups=None if spec.user is None else [],
        )

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(5):
                    is_healthy = await self.spec.is_healthy()
            except (OSError, TimeoutError):
                is_healthy = False
            if is_healthy:
                self._healthy.set()
                self._set(self.pid, "healthy")
            elif self.health == "healthy":
                self._set(self.pid, "unhealthy")
            await asyncio.sleep(2 if is_healthy else 0.1)

    def _set(self, pid: int | None, health: str) -> None:
        if (pid, health) != (self.pid, self.health):
            self.pid, self.health = pid, health
            self._changed()


def _bind() -> None:
    """Runs in the child: it gets SIGKILL when the supervisor is gone, whatever ended it.

    And it leaves no core file, whatever program it is.
    """
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_leftovers(pids: Sequence[tuple[int, float]]) -> None:
    """End processes of an earlier run, known by pid and start time, with all their children."""
    found = []
    for pid, created in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1:
                found += [process, *process.children(recursive=True)]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=10)


def created_at(pid: int) -> float:
    """Return when a process began, which with its pid names it for ever."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0
