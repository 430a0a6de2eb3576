"""The clearing house of one simulated network: closes a business day with a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

from sandbox.networks.clearing import ipm, tc33
from sandbox.networks.clearing.presentment import FileName, Presentment, Totals, presentments
from sandbox.networks.ledger import Ledger, Row

ROWS_AT_ONCE = 1000

Write = Callable[[BinaryIO, FileName, Iterable[Presentment]], Totals]
FORMATS: dict[str, tuple[str, Write]] = {
    "visa_sim": (tc33.SUFFIX, tc33.write),
    "mastercard_sim": (ipm.SUFFIX, ipm.write),
}


@dataclass(frozen=True, slots=True)
class ClearingFile:
    """A file that was written."""

    file: Path
    totals: Totals


class ClearingHouse:
    """Presents each approval of a ledger once.

    numbers_file: remembers the last file number of each business date, so that no name comes
    twice, not even after a reader took the files away.
    """

    def __init__(self, network: str, ledger: Ledger, folder: Path, numbers_file: Path) -> None:
        self._network = network
        self._ledger = ledger
        self._folder = folder
        self._numbers_file = numbers_file
        self._writing = asyncio.Lock()

    async def close_day(self, business_date: date) -> ClearingFile:
        """Write a file with what was not presented before; it may have no line."""
        async with self._writing:
            name = FileName(self._network, business_date, self._next_number(business_date))
            rows = self._ledger.to_present()
            # The network goes on answering meanwhile.
            written = await asyncio.to_thread(self._write, name, rows)
            for start in range(0, len(rows), ROWS_AT_ONCE):
                presented = rows[start : start + ROWS_AT_ONCE]
                for row in presented:
                    row.presented = business_date.isoformat()
                self._ledger.write(*presented)
                await asyncio.sleep(0)
            return written

    def has_news(self) -> bool:
        """Return whether a file would have a line."""
        return bool(self._ledger.to_present())

    def _write(self, name: FileName, rows: list[Row]) -> ClearingFile:
        suffix, write = FORMATS[self._network]
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.{suffix}"
        unfinished = self._folder / f".{file.name}.part"
        with unfinished.open("wb") as stream:
            totals = write(stream, name, presentments(name, rows))
        unfinished.replace(file)
        return ClearingFile(file, totals)

    def _next_number(self, business_date: date) -> int:
        numbers: dict[str, int] = {}
        if self._numbers_file.exists():
            numbers = json.loads(self._numbers_file.read_text())
        number = numbers.get(business_date.isoformat(), 0) + 1
        numbers[business_date.isoformat()] = number
        fresh = self._numbers_file.with_suffix(".new")
        fresh.write_text(json.dumps(numbers))
        fresh.replace(self._numbers_file)
        return number
