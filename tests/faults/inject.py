"""Carries a plan of faults out on a sandbox, and undoes what does not end by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence

import psutil
import psycopg
from psycopg import sql

from tests.faults.archive import kill_between
from tests.faults.mesh import Mesh
from tests.faults.plan import Fault, Kind
from tests.faults.slots import give_up_slot

Say = Callable[[str], None]


class Injector:
    """Does what the plan says. done: the faults that met something.

    uncaptured_since_us: the databases that lost their slots, and when by their clocks.
    """

    def __init__(self, mesh: Mesh, say: Say) -> None:
        self._mesh = mesh
        self._say = say
        self.done: list[Fault] = []
        self.uncaptured_since_us: dict[str, int] = {}

    async def carry_out(self, faults: Sequence[Fault]) -> None:
        """Do each fault at its time and wait until the last one is over."""
        started_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._at_its_time(fault, started_at))

    async def _at_its_time(self, fault: Fault, started_at: float) -> None:
        await asyncio.sleep(started_at + fault.at_s - time.monotonic())
        self._say(str(fault))
        if fault.kind is Kind.CUT:
            await asyncio.to_thread(self._mesh.cut, fault.target)
        elif fault.kind is Kind.LINE:
            await self._spoil_line(fault)
        elif fault.kind is Kind.BLOCK:
            await self._block(fault)
        elif fault.kind is Kind.SLOT:
            since_us = await give_up_slot(self._mesh, fault.target)
            self.uncaptured_since_us[fault.target] = since_us
            self._say(f"          the slot of {fault.target} is lost")
        elif not await self._hurt(fault):
            self._say(f"          {fault.target} was not there")
            return
        self.done.append(fault)

    async def _spoil_line(self, fault: Fault) -> None:
        await asyncio.to_thread(self._mesh.order, fault.target, fault.order)
        try:
            await asyncio.sleep(fault.for_s)
        finally:
            self._mesh.order(fault.target, {})

    async def _block(self, fault: Fault) -> None:
        """Lock the table that a service keeps events in; kill it and PostgreSQL while it waits."""
        database, table = self._mesh.events_of(fault.target)
        with contextlib.suppress(psycopg.OperationalError):  # also when its server is killed
            async with await psycopg.AsyncConnection.connect(database) as connection:
                lock = sql.SQL("lock table {} in share row exclusive mode")
                await connection.execute(lock.format(sql.Identifier(table)))
                await asyncio.sleep(fault.for_s)
                kill(self._mesh, fault.target)
                kill(self._mesh, "postgres")

    async def _hurt(self, fault: Fault) -> bool:
        pid = self._mesh.pid(fault.target)
        if pid is None:
            return False
        if fault.kind is Kind.FREEZE:
            await _freeze(pid, fault.for_s)
        elif fault.kind is Kind.FULL:
            await _leave_no_room(pid, fault)
        elif fault.kind is Kind.KILL_WRITING:
            return await asyncio.to_thread(kill_between, self._mesh.state.archive, pid, fault.for_s)
        else:
            kill(self._mesh, fault.target)
        return True


def kill(mesh: Mesh, name: str) -> None:
    """Kill a process, if it is there."""
    pid = mesh.pid(name)
    if pid is not None:
        # PostgreSQL's processes end each other on an immediate stop, and only then.
        number = signal.SIGQUIT if name == "postgres" else signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _leave_no_room(pid: int, fault: Fault) -> None:
    """Let a process write no file past a size, as on a full disk, and then again.

    The kernel answers EFBIG where a full disk has ENOSPC. That takes no other file system and no
    rights, and meets what else the process writes, its log, too.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (int(str(fault.order["file_bytes_max"])), hard))
        try:
            await asyncio.sleep(fault.for_s)
        finally:
            process.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))


async def _freeze(pid: int, for_s: float) -> None:
    """Stop a process with its children, the parent first so that it makes no more, and let go."""
    try:
        parent = psutil.Process(pid)
        _signal([parent], signal.SIGSTOP)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    _signal(family, signal.SIGSTOP)
    try:
        await asyncio.sleep(for_s)
    finally:
        _signal(reversed(family), signal.SIGCONT)


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
