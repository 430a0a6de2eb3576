"""What the clearing files of a business date come to, to the cent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from recon_svc.domain.breaks import BreakKind


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of lines and what they sum to, in minor units."""

    lines: int = 0
    amount_minor: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.lines + other.lines, self.amount_minor + other.amount_minor)

    def __sub__(self, other: Sum) -> Sum:
        return Sum(self.lines - other.lines, self.amount_minor - other.amount_minor)


@dataclass(frozen=True, slots=True)
class BreakSum:
    """The breaks of one kind, open and resolved. theirs: of lines; ours: of attempts."""

    kind: BreakKind
    count: int
    open_count: int
    theirs: Sum
    ours_minor: int


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One network and currency. declared: by the files' own totals; read: what could be read."""

    network: str
    currency: str
    declared: Sum
    read: Sum
    matched: Sum
    waiting: Sum
    breaks: tuple[BreakSum, ...]

    @property
    def rejected(self) -> Sum:
        """Return what the files declare and can't be read."""
        return self.declared - self.read

    @property
    def is_tied_out(self) -> bool:
        """Return whether every cent that the files declare is matched or accounted for."""
        broken = sum((part.theirs for part in self.breaks), start=Sum())
        return self.declared == self.matched + self.waiting + broken + self.rejected


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """The files of one network. rejected_records: those that can't be read."""

    network: str
    taken: int
    refused: int
    rejected_records: int


@dataclass(frozen=True, slots=True)
class DailyReport:
    """One business date."""

    business_date: date
    files: tuple[NetworkFiles, ...]
    rows: tuple[ReportRow, ...]
