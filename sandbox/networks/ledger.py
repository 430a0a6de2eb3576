"""The issuers' own books: what each exchange came to, on disk before any answer is sent.

A row holds no card number: the first six and last four digits at most.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.networks.cards import Clearing


@dataclass(slots=True)
class Row:
    """One authorization as the issuer knows it.

    asked: what the acquirer asked for. amount: as approved. held: what waits for a capture.
    captured: what goes to the merchant. In minor units. refused_captures: how many captures of it
    are to be refused. clearing: a `cards.Clearing`, since the card itself isn't kept. presented:
    the business date of the clearing file that has it, "2026-11-26"; empty before.
    """

    rrn: str
    stan: str
    transmitted_at: str
    card: str
    currency: str
    asked: int
    amount: int
    approved: bool = False
    reversed: bool = False
    held: int = 0
    captured: int = 0
    response_code: str = ""
    approval_code: str = ""
    acquirer: str = ""
    mcc: str = ""
    card_acceptor: str = ""
    refused_captures: int = 0
    clearing: str = Clearing.ONCE
    presented: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)

    @property
    def trace_id(self) -> str:
        """The network's own name for the exchange, DE63 of its answer and of its clearing file."""
        return f"T{self.rrn}"


class Ledger:
    """All rows of a network, by RRN; appended to a file and read again at the start."""

    def __init__(self, file: Path) -> None:
        self._rows: dict[str, Row] = {}
        if file.exists():
            for line in file.read_text().splitlines():
                if line.endswith("}"):  # a killed process may leave half a line
                    row = Row(**json.loads(line))
                    self._rows[row.rrn] = row
        self._file = file.open("a")

    def find(self, rrn: str) -> Row | None:
        """Return the row of an exchange."""
        return self._rows.get(rrn)

    def write(self, *rows: Row) -> None:
        """Keep the rows as they stand now."""
        for row in rows:
            self._rows[row.rrn] = row
            self._file.write(json.dumps(asdict(row), separators=(",", ":")) + "\n")
        self._file.flush()

    def to_present(self) -> list[Row]:
        """Return what a clearing file would present now, oldest first."""
        return [
            row
            for row in self._rows.values()
            if row.captured
            and not row.reversed
            and not row.presented
            and row.clearing != Clearing.MISSING
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return every row."""
        return [asdict(row) for row in self._rows.values()]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
