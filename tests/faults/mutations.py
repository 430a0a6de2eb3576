"""Shows that the harness can fail: breaks a copy of the code in known ways and runs it there.

`python -m tests.faults.mutations [NAME …]`; the exit code is 1 when a mutation is not reported.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.faults.apart import run_apart

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = Console(width=140)
SEEDS = range(1, 6)
PAYMENTS = 120


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replaces text that stands once in a file. reported_as: what a violation must say."""

    name: str
    file: str
    old: str
    new: str
    reported_as: str


MUTATIONS = (
    Mutation(
        "a-timeout-is-a-decline",
        "txn_svc/handlers/charges.py",
        old="""            outcome = replace(NO_ANSWER, messages=(sent,))
""",
        new="""            outcome = Outcome(AttemptEvent.DECLINE, NEVER_SENT, messages=(sent,))
""",
        reported_as="we say 0 (failed)",
    ),
    Mutation(
        "the-outcome-is-written-before-the-attempt",
        "txn_svc/handlers/charges.py",
        old="""        await self._record(transaction, attempt)
        money = Money(terms.amount_minor, terms.currency)
        sent = Message("0100", is_sent=True, at=int(self._clock.now().timestamp()))
        try:
            response = await reservation.authorize(card, money, send_until, is_hold=terms.is_hold)
""",
        new="""        money = Money(terms.amount_minor, terms.currency)
        sent = Message("0100", is_sent=True, at=int(self._clock.now().timestamp()))
        try:
            try:
                response = await reservation.authorize(
                    card, money, send_until, is_hold=terms.is_hold
                )
            finally:
                await self._record(transaction, attempt)
""",
        reported_as="is unknown to us",
    ),
    Mutation(
        "offsets-are-committed-before-effects",
        "chassis/consumer.py",
        old="await self._apply([_record(row) for rows in polled.values() for row in rows])",
        new="""await asyncio.to_thread(consumer.commit)
                await self._apply([_record(row) for rows in polled.values() for row in rows])""",
        reported_as="was never told",
    ),
)


def mutate(mutation: Mutation, root: Path) -> None:
    """Break the code below this folder. Raises ValueError when it has changed too much."""
    file = root / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.name}: its text is not in {mutation.file} once")
    file.write_text(text.replace(mutation.old, mutation.new))


def main(names: list[str]) -> None:
    """Run the mutations of these names, or all."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    unreported = [mutation.name for mutation in wanted if not _is_reported(mutation)]
    if unreported:
        sys.exit(f"not reported: {unreported}")


def _is_reported(mutation: Mutation) -> bool:
    with tempfile.TemporaryDirectory(prefix="paymesh-mutation-") as folder:
        Path(folder).chmod(0o755)
        code = Path(folder) / "code"
        _copy(code)
        mutate(mutation, code)
        for seed in SEEDS:
            said = [text for text in _run(code, seed) if mutation.reported_as in text]
            CONSOLE.print(f"{mutation.name}, seed {seed}: {said[:3] or 'not reported'}")
            if said:
                return True
    return False


def _copy(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)


def _run(code: Path, seed: int) -> list[str]:
    """Run the harness of this copy and return what its violations say."""
    folder = code.parent / f"seed-{seed}"
    folder.mkdir()
    folder.chmod(0o755)
    return [
        f"{violation['id']} {violation['what']}"
        for finding in run_apart(code, seed, PAYMENTS, folder)["findings"]
        for violation in finding["violations"]
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
