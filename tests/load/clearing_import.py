"""How fast a clearing file is taken and matched, and with how much memory.

`python -m tests.load.clearing_import mastercard_sim 200000` starts a PostgreSQL of its own, inserts
the attempts set-based, lets a network write the file, and then takes it as recon_svc does. It
writes nothing into the tree; `docs/performance.md` is written by hand from what it prints.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil

from sandbox.platform.certificates import issue
from sandbox.platform.postgres import Postgres
from tests.integration.authz_client import free_port
from tests.integration.clearing_parts import LATE, MERCHANT, SUFFIXES, ClearingProcess, a_process
from tests.integration.conftest import DatabaseServer, start_server
from tests.integration.settings import database_and_settings
from tests.load.clearing import write
from tests.load.report import CONSOLE
from tests.unit.clearing.files import DAY

SAMPLE_S = 0.2

# One attempt for each line; the last one of a thousand has another amount.
ATTEMPTS = """
insert into attempts (merchant_id, id, mode, payment_intent_id, transaction_id, network, status,
    amount_minor, currency, stan, rrn, transmitted_at, response_code, approval_code,
    network_trace_id, deadline, created, version, kind, is_hold)
select %(merchant_id)s, 'att_' || i, 'test', 'pi_' || i, 'txn_' || i, %(network)s, 'succeeded',
    case when i %% 1000 = 0 then 1000 else 1099 end, 'usd', lpad((i %% 1000000)::text, 6, '0'),
    'R' || lpad(i::text, 11, '0'), '1126101500', '00', '000001', 'TR' || lpad(i::text, 11, '0'),
    timestamptz '2026-11-26 10:15:02Z',
    timestamptz '2026-11-26 10:15:00Z', 2, 'authorization', false
from generate_series(0, cast(%(lines)s as integer) - 1) i
"""
COUNTS = "select verdict, count(*) as number from clearing_lines group by verdict"


class Memory:
    """Samples the proportional set size of this process and its parsers."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        while not self._done.wait(SAMPLE_S):
            total = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    if process.name().startswith("postgres"):
                        continue
                    total += process.memory_full_info().pss
                except psutil.NoSuchProcess:
                    continue
            self.peak_bytes = max(self.peak_bytes, total)


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[DatabaseServer, int]]:
    """Run a PostgreSQL as the sandbox does."""
    issue(folder)
    server = Postgres(folder / "postgres", free_port(), folder, folder / "programs")
    server.prepare()
    process = start_server(server, folder / "postgres.log")
    try:
        yield DatabaseServer(server), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


async def measure(lines: int, network: str, folder: Path, server: DatabaseServer, pid: int) -> None:
    """Take a file of so many lines and print what it cost."""
    database, _ = await database_and_settings(server.database("recon"), folder)
    started = time.perf_counter()
    await database.fetch(ATTEMPTS, lines=lines, network=network, merchant_id=MERCHANT)
    CONSOLE.print(f"attempts inserted: {time.perf_counter() - started:.1f} s")
    async with a_process(database, folder / "inbox") as process:
        process.clock.move((LATE - process.clock.now()).total_seconds())
        file = process.inbox / f"{network}-{DAY:%Y%m%d}-001.{SUFFIXES[network]}"
        await asyncio.to_thread(_write, network, lines, file)
        await take(process, lines, pid)
        counts = {row["verdict"]: row["number"] for row in await database.fetch(COUNTS)}
        CONSOLE.print(f"lines: {counts}; breaks: {await process.rows()}")
        CONSOLE.print(f"tied out: {all(row.is_tied_out for row in (await process.report()).rows)}")
    await database.close()


async def take(process: ClearingProcess, lines: int, postgres_pid: int) -> None:
    """Take the file and print the seconds, the CPU and the memory."""
    with Memory() as memory:
        own, parsers, database = cpu_s(postgres_pid)
        started = time.perf_counter()
        [file] = await process.clearing.run()
        took_s = time.perf_counter() - started
        used = [
            after - before
            for after, before in zip(cpu_s(postgres_pid), (own, parsers, database), strict=True)
        ]
    CONSOLE.print(
        f"{file.status}, {file.lines} lines in {took_s:.1f} s: {lines / took_s:,.0f} lines/s"
    )
    CONSOLE.print("CPU: importer {:.1f} s, parsers {:.1f} s, PostgreSQL {:.1f} s".format(*used))
    CONSOLE.print(f"peak memory of importer and parsers: {memory.peak_bytes / 1e6:.0f} MB")
    CONSOLE.print("load average: {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()))


def cpu_s(postgres_pid: int) -> tuple[float, float, float]:
    """Return the CPU that this process, its parsers that ended, and PostgreSQL used so far."""
    own = psutil.Process().cpu_times()
    database = 0.0
    server = psutil.Process(postgres_pid)
    for process in (server, *server.children()):
        times = process.cpu_times()
        database += times.user + times.system
    return own.user + own.system, own.children_user + own.children_system, database


def _write(network: str, lines: int, file: Path) -> None:
    """Let a network write the file, in a process whose memory is not ours."""
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(network, lines, file))
    writer.start()
    writer.join()


def main() -> None:
    """Measure."""
    network, lines = sys.argv[1], int(sys.argv[2])
    folder = Path(tempfile.mkdtemp(prefix="paymesh-clearing-"))
    folder.chmod(0o755)
    try:
        with postgres(folder) as (server, pid):
            asyncio.run(measure(lines, network, folder, server, pid))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
