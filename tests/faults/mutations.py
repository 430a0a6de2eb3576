"""Shows that the harness can fail: breaks a copy of the code in known ways and runs it there.

`python -m tests.faults.mutations [NAME …]`; the exit code is 1 when a mutation is not reported.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.changed_code import Change, copy_code
from tests.faults.apart import run_apart

CONSOLE = Console(width=140)
SEEDS = range(1, 6)
PAYMENTS = 120


@dataclass(frozen=True, slots=True)
class Mutation(Change):
    """A change that breaks a promise. reported_as: a violation must say one of these.

    also: what else is replaced in that file, old by new.
    """

    reported_as: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()

    def apply(self, root: Path) -> None:
        """Change the code below this folder."""
        Change.apply(self, root)
        for old, new in self.also:
            Change.apply(Change(self.name, self.file, old, new), root)


MUTATIONS = (
    Mutation(
        "a-timeout-is-a-decline",
        "txn_svc/handlers/charges.py",
        old="""            outcome = replace(NO_ANSWER, messages=(sent,))
""",
        new="""            outcome = Outcome(AttemptEvent.DECLINE, NEVER_SENT, messages=(sent,))
""",
        reported_as=("we say 0, 0 (failed)",),
    ),
    Mutation(
        "the-outcome-is-written-before-the-attempt",
        "txn_svc/handlers/charges.py",
        old="""        await self._record(Step(transaction, attempt, envelope))
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
                await self._record(Step(transaction, attempt, envelope))
""",
        reported_as=("is unknown to us",),
    ),
    Mutation(
        "offsets-are-committed-before-effects",
        "chassis/consumer.py",
        old="await self._apply([_record(row) for rows in polled.values() for row in rows])",
        new="""await asyncio.to_thread(consumer.commit)
                await self._apply([_record(row) for rows in polled.values() for row in rows])""",
        reported_as=("was never told", "missing_at_us should be no break"),
    ),
    Mutation(
        "the-archive-goes-on-where-kafka-was-told",
        "audit_svc/consumer.py",
        old="""                self._since.setdefault(partition, time.monotonic())
        self._open_new()
""",
        new="""                self._since.setdefault(partition, time.monotonic())
                self._commit(partition, self._open[partition].position)
        self._open_new()
""",
        also=(
            (
                "        self._consumer.seek(partition, archiver.position)\n",
                "        archiver.begin_at(self._consumer.position(partition))\n",
            ),
        ),
        reported_as=("not archived: [", "the file before it ends at"),
    ),
    Mutation(
        "a-repair-reads-nothing-again",
        "sandbox/capture.py",
        old="""            if not now.comparison.lost:
                break
""",
        new="""            if now.comparison is not None:
                break
""",
        reported_as=("otherwise than captured",),
    ),
    Mutation(
        "a-row-that-is-archived-is-taken-for-whole",
        "audit_svc/domain/gaps.py",
        old="known is None or known.is_torn or known.digest != digest:",
        new="known is None or known.is_torn:",
        reported_as=("no repair names it", "is told of with other"),
    ),
)


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
        copy_code(code)
        mutation.apply(code)
        for seed in SEEDS:
            said = [
                text
                for text in _run(code, seed)
                if any(part in text for part in mutation.reported_as)
            ]
            CONSOLE.print(f"{mutation.name}, seed {seed}: {said[:3] or 'not reported'}")
            if said:
                return True
    return False


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
