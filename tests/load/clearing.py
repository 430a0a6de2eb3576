"""Measures the reader of clearing files: `python -m tests.load.clearing mastercard_sim 100000`.

Lets the simulated network's own writer make a file of so many lines in a temporary folder, reads it
with one and two worker processes, and prints lines a second, CPU and resident memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psutil

from recon_svc.clearing.files import parser_pool, read_file
from recon_svc.domain.clearing import ClearingLine, FileTotals
from sandbox.networks.clearing.house import FORMATS
from sandbox.networks.clearing.presentment import FileName, presentments
from sandbox.networks.ledger import Row
from tests.load.report import CONSOLE

LINES_BETWEEN_LOOKS = 20_000


def rows(count: int) -> Iterator[Row]:
    """Return approvals of one ledger."""
    for number in range(count):
        yield Row(
            rrn=f"R{number:011d}",
            stan=f"{number % 1_000_000:06d}",
            transmitted_at="1126101500",
            card="520000…0017",
            currency="840",
            asked=1099,
            amount=1099,
            approved=True,
            captured=1099,
            approval_code="000001",
            acquirer="400001",
            mcc="5999",
            card_acceptor="PAYMESH",
        )


def write(network: str, count: int, file: Path) -> None:
    """Write a file and say how long that took."""
    name = FileName(network, date(2026, 11, 26), 1)
    start = time.perf_counter()
    with file.open("wb") as stream:
        FORMATS[network][1](stream, name, presentments(name, rows(count)))
    took_s = time.perf_counter() - start
    CONSOLE.print(
        f"{network}: wrote {count:,} lines, {file.stat().st_size:,} bytes in {took_s:.1f} s"
    )


def read(network: str, file: Path, processes: int) -> None:
    """Read a file and say how fast, with how much memory."""
    own = psutil.Process()
    workers_peak = 0
    start, cpu_s = time.perf_counter(), _cpu_s()
    with parser_pool(processes) as workers, file.open("rb") as stream:
        items = read_file(network, stream, workers)
        lines = 0
        for item in items:
            lines += isinstance(item, ClearingLine)
            if lines % LINES_BETWEEN_LOOKS == 1:
                workers_peak = max(workers_peak, _resident(own.children()))
        assert isinstance(item, FileTotals)
    took_s, cpu_s = time.perf_counter() - start, _cpu_s() - cpu_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    CONSOLE.print(
        f"{network}: {processes} processes read {lines:,} lines in {took_s:.1f} s: "
        f"{lines / took_s:,.0f} lines/s, {cpu_s:.1f} s of CPU; peak {peak:.0f} MiB here, "
        f"{workers_peak / 2**20:.0f} MiB in the workers"
    )


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _resident(processes: list[psutil.Process]) -> int:
    return sum(process.memory_info().rss for process in processes)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="tests.load.clearing", description=__doc__)
    parser.add_argument("network", choices=sorted(FORMATS))
    parser.add_argument("lines", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paymesh-clearing-") as folder:
        file = Path(folder) / "file"
        write(arguments.network, arguments.lines, file)
        for processes in (1, 2):
            read(arguments.network, file, processes)


if __name__ == "__main__":
    main()
