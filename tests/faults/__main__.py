"""`make faults SEED=n PAYMENTS=n`: pays while everything fails, heals, and checks every promise.

The exit code is 1 when a check fails; then the sandbox's folder stays, with logs and data. When
all is well only `report.json` stays.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.faults.report import Report
from tests.faults.run import Say, run

CONSOLE = Console(width=140)


def main() -> None:
    """Run one seed."""
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix=f"paymesh-faults-{arguments.seed}-"))
    folder.chmod(0o755)
    started_at = time.monotonic()

    def say(text: str) -> None:
        CONSOLE.print(f"{time.monotonic() - started_at:6.1f}  {text}", markup=False)

    say(f"seed {arguments.seed}, state in {folder}")
    report = asyncio.run(_run(arguments, folder, say))
    report.show(CONSOLE)
    report.write(folder / "report.json")
    if report.has_violations:
        sys.exit(f"seed {arguments.seed} FAILED; see {folder}")
    for part in folder.iterdir():
        if part.is_dir():
            shutil.rmtree(part)
    say(f"seed {arguments.seed} is well")


async def _run(arguments: argparse.Namespace, folder: Path, say: Say) -> Report:
    running = asyncio.create_task(run(arguments.seed, arguments.payments, folder, say))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--payments", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
