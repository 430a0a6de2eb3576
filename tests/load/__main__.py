"""`make bench`: what one create, one charge and one status read cost through Envoy, measured.

It runs on a sandbox of its own and drives it with vegeta, a load generator of its own process:
open loop at a fixed rate (what a merchant feels), closed loop at saturation (what a request costs).
It writes nothing into the tree; `docs/performance.md` is written by hand from what it prints.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.load.measure import Usage, batch_sizes, resident_bytes, settle
from tests.load.report import print_books, print_latency, print_memory, print_saturation
from tests.load.requests import Merchant, Request, charge, create, read
from tests.load.vegeta import Attack, Result, Vegeta

PAYMESH = Path(sys.executable).parent / "paymesh"
MERCHANTS = 64
WORKERS = 64


class Sandbox:
    """A sandbox for the benchmark alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> str:
        """Run a paymesh command and return what it prints."""
        return subprocess.run(
            [PAYMESH, *arguments, "--state-dir", str(self.folder)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def merchants(self) -> list[Merchant]:
        """Take on the merchants that share the load, so that no rate limit is met."""
        made = (
            json.loads(
                self.run("merchant", "create", "--name", f"Shop {n}", "--mode", "test", "--json")
            )
            for n in range(MERCHANTS)
        )
        return [Merchant(row["publishableKey"], row["secretKey"]) for row in made]


def main() -> None:
    """Run the benchmark and print every figure."""
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="paymesh-bench-"))
    folder.chmod(0o755)
    sandbox = Sandbox(folder)
    try:
        sandbox.run("up")
        _measure(sandbox, arguments)
    finally:
        sandbox.run("down")
        shutil.rmtree(folder, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rate", type=int, default=50, help="payments per second, open loop")
    parser.add_argument("--seconds", type=int, default=20, help="length of each phase")
    return parser.parse_args()


def _measure(sandbox: Sandbox, arguments: argparse.Namespace) -> None:
    status = json.loads(sandbox.run("status", "--json"))
    vegeta = Vegeta(sandbox.folder, Path(status["ca_file"]))
    merchants = itertools.cycle(sandbox.merchants())
    acknowledged: list[Result] = []
    _warm(vegeta, status["edge_url"], merchants, acknowledged)

    payments = arguments.rate * arguments.seconds
    pairs = _created(vegeta, status["edge_url"], merchants, payments, acknowledged)
    requests = _interleaved(status["edge_url"], pairs, merchants)
    results = vegeta.attack(Attack(requests, rate=arguments.rate * 3, seconds=arguments.seconds))
    acknowledged += results
    print_latency(f"open loop, {arguments.rate} payments/s (create, charge, read)", results)

    for name, requests in _saturating(
        vegeta, status["edge_url"], merchants, arguments.seconds, acknowledged
    ):
        before = Usage.now(status)
        results = vegeta.attack(Attack(requests, workers=WORKERS, seconds=arguments.seconds))
        settle(status)
        spent = Usage.now(status) - before
        acknowledged += results
        print_saturation(name, results, spent, batch_sizes(status))
    print_memory(resident_bytes(status))
    if not print_books(
        acknowledged, status, json.loads(sandbox.run("networks", "ledger", "--json"))
    ):
        sys.exit("acknowledged payments and books differ")


def _warm(
    vegeta: Vegeta, edge: str, merchants: Iterator[Merchant], acknowledged: list[Result]
) -> None:
    """Let the JVM and the prepared statements settle: 10 seconds of payments, not reported."""
    pairs = _created(vegeta, edge, merchants, 500, acknowledged)
    requests = _interleaved(edge, pairs, merchants)
    acknowledged += vegeta.attack(Attack(requests, rate=150, seconds=10))


def _created(
    vegeta: Vegeta,
    edge: str,
    merchants: Iterator[Merchant],
    count: int,
    acknowledged: list[Result],
) -> list[tuple[Merchant, str]]:
    """Create intents to be charged later and return each with its merchant."""
    owners = list(itertools.islice(merchants, count))
    results = vegeta.attack(
        Attack([create(edge, owner) for owner in owners], workers=WORKERS, seconds=600)
    )
    acknowledged += results
    by_key = {owner.publishable_key: owner for owner in owners}
    return [(by_key[result.publishable_key], result.body["id"]) for result in results if result.ok]


def _interleaved(
    edge: str, pairs: list[tuple[Merchant, str]], merchants: Iterator[Merchant]
) -> list[Request]:
    requests = []
    for owner, intent_id in pairs:
        requests += [
            create(edge, next(merchants)),
            charge(edge, owner, intent_id),
            read(edge, owner, intent_id),
        ]
    return requests


def _saturating(
    vegeta: Vegeta,
    edge: str,
    merchants: Iterator[Merchant],
    seconds: int,
    acknowledged: list[Result],
) -> Iterator[tuple[str, list[Request]]]:
    """Yield each kind of request with more of them than can be answered in the time."""
    count = 3000 * seconds
    yield "create", [create(edge, next(merchants)) for _ in range(count)]
    pairs = _created(vegeta, edge, merchants, 1000 * seconds, acknowledged)
    yield "charge", [charge(edge, *pair) for pair in pairs]
    yield "read", [read(edge, *pair) for pair in itertools.islice(itertools.cycle(pairs), count)]


if __name__ == "__main__":
    main()
