"""Runs the harness as a process of its own, of this code or of a copy, and returns its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ENDING_S = 90


def run_apart(code: Path, seed: int, payments: int, folder: Path) -> dict[str, Any]:
    """Run a seed below an empty folder, which every user must be able to enter.

    Raises RuntimeError with what the harness printed when it broke off.
    """
    output = folder / "output.txt"
    with (
        output.open("wb") as printed,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults"),
                *("--seed", str(seed), "--payments", str(payments)),
            ],
            cwd=code,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=printed,
            stderr=printed,
        ) as harness,
    ):
        try:
            harness.wait()
        finally:
            harness.terminate()  # it takes its sandbox along
            harness.wait(ENDING_S)
    found = [*folder.glob("*/report.json")]
    if not found:
        raise RuntimeError(output.read_text())
    report: dict[str, Any] = json.loads(found[0].read_text())
    return report
