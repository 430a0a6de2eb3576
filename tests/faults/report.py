"""What a run found, for people and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.checks import Finding
from tests.faults.evidence import Change

SHOWN_MAX = 10
UNKNOWN = "timeout"


@dataclass(frozen=True, slots=True)
class Report:
    """A run's figures and findings. certainty_s: from our timeout to a final state, sorted."""

    seed: int
    payments: int
    faults: list[str]
    restarts: dict[str, int]
    proxied: dict[str, dict[str, int]]
    certainty_s: list[float]
    findings: list[Finding]

    @property
    def has_violations(self) -> bool:
        """Whether any check failed."""
        return any(finding.violations for finding in self.findings)

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1))

    def show(self, console: Console) -> None:
        """Print each figure, and of each check's violations the first few."""
        console.print(
            f"seed {self.seed}, {self.payments} payments, {len(self.faults)} faults; "
            f"restarts: {self.restarts}; lines: {self.proxied}"
        )
        console.print(f"time from our timeout to certainty: {_percentiles(self.certainty_s)}")
        table = Table("check", "figures", "violations")
        for finding in self.findings:
            figures = ", ".join(f"{name} {count:,}" for name, count in finding.figures.items())
            count = len(finding.violations)
            table.add_row(finding.name, figures, f"[red]{count}[/]" if count else "[green]none[/]")
        console.print(table)
        for finding in self.findings:
            self._show_violations(console, finding)

    def _show_violations(self, console: Console, finding: Finding) -> None:
        if finding.violations:
            console.print(f"[red]{finding.name}[/]:")
        for violation in finding.violations[:SHOWN_MAX]:
            console.print(f"  {violation.id} {violation.what}", markup=False, soft_wrap=True)
        if len(finding.violations) > SHOWN_MAX:
            console.print(f"  and {len(finding.violations) - SHOWN_MAX} more")


def times_to_certainty_s(changes: Iterable[Change]) -> list[float]:
    """Return how long each attempt that had no answer in time was unknown, sorted."""
    unknown_since_ms: dict[str, int] = {}
    times = []
    for change in sorted(changes, key=lambda change: (change.partition, change.offset)):
        if change.table != "txn.attempts":
            continue
        if change.after == UNKNOWN:
            unknown_since_ms.setdefault(change.id, change.at_ms)
        elif change.before == UNKNOWN:
            times.append((change.at_ms - unknown_since_ms[change.id]) / 1000)
    return sorted(times)


def _percentiles(times_s: list[float]) -> str:
    if not times_s:
        return "none became certain"
    at = {percent: times_s[math.ceil((len(times_s) - 1) * percent / 100)] for percent in (50, 99)}
    return f"{len(times_s)} attempts, p50 {at[50]:.1f} s, p99 {at[99]:.1f} s"
