"""What a run found, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.checks.finding import Finding
from tests.percentiles import percentile

SHOWN_MAX = 10


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


def _percentiles(times_s: list[float]) -> str:
    if not times_s:
        return "none became certain"
    p50_s, p99_s = percentile(times_s, 50), percentile(times_s, 99)
    return f"{len(times_s)} attempts, p50 {p50_s:.1f} s, p99 {p99_s:.1f} s"
