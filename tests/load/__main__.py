"""`make bench`: what payments cost through Envoy, and how unknown outcomes end, measured.

It runs on a sandbox of its own and drives it with vegeta, a load generator of its own process;
what TLS costs takes two sandboxes, beside each other, and change capture, the archive and recovery
take one each.
`--only` chooses parts. It writes nothing into the tree; `docs/performance.md` is written by hand
from what it prints.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.load import archive
from tests.load.authz import measure_checks
from tests.load.bench import Bench, Sandbox
from tests.load.capture import measure_archive, measure_capture
from tests.load.costs import latency, saturation
from tests.load.recovery import measure_recovery
from tests.load.report import CONSOLE, print_books
from tests.load.tls import measure
from tests.load.unknowns import backlog, certainty

ARCHIVED = 20_000_000  # records
# A sandbox runs Java to be up soon and small: its first compiler alone, which does not know the
# processor's instructions for AES, one thread that stops everything to collect, 256 MB of heap.
# Kafka's own start scripts, and so a cluster, have both compilers, this collector, and more heap.
JAVA = (
    "-XX:TieredStopAtLevel=4 -XX:-UseSerialGC -XX:+UseG1GC -XX:MaxGCPauseMillis=20 "
    "-XX:InitiatingHeapOccupancyPercent=35 -Xmx1g"
)


def _archive(given: argparse.Namespace) -> None:
    """Measure the archive as it is written, and a large one as it is proved and searched."""
    measure_archive(given.rate or 10_000, given.seconds or 60)
    archive.measure(ARCHIVED)


PARTS: dict[str, Callable[[Bench, argparse.Namespace], None]] = {
    "latency": lambda bench, given: latency(bench, given.rate or 50, given.seconds or 20),
    "saturation": lambda bench, given: saturation(bench, given.seconds or 20),
    "authz": lambda bench, given: measure_checks(bench, given.seconds or 3),
    "certainty": lambda bench, given: certainty(bench, given.rate or 10, given.seconds or 120),
    "backlog": lambda bench, given: backlog(bench, given.rate or 200, given.seconds or 90),
}
APART: dict[str, Callable[[argparse.Namespace], None]] = {  # on sandboxes of their own
    "tls": lambda given: measure(given.seconds or 9),
    "cdc": lambda given: measure_capture(given.rate or 1_000, given.seconds or 60),
    "archive": _archive,
    "recovery": lambda _: measure_recovery(),
}


def main() -> None:
    """Run the benchmark and print every figure."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ["_JAVA_OPTIONS"] = JAVA
    arguments = _arguments()
    parts = [name for name in arguments.only if name in PARTS]
    if parts:
        _run(parts, arguments)
    for name in arguments.only:
        if name in APART:
            CONSOLE.rule(name)
            APART[name](arguments)


def _run(parts: list[str], arguments: argparse.Namespace) -> None:
    """Run parts on one sandbox."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-bench-"))
    folder.chmod(0o755)
    sandbox = Sandbox(folder)
    try:
        sandbox.run("up")
        _measure(Bench(sandbox), parts, arguments)
    finally:
        sandbox.run("down")
        shutil.rmtree(folder, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    every = [*PARTS, *APART]
    parser.add_argument("--only", nargs="+", choices=every, default=every, metavar="PART")
    parser.add_argument(
        "--rate", type=int, help="payments or changes a second where a part has a rate"
    )
    parser.add_argument("--seconds", type=int, help="length of each phase")
    return parser.parse_args()


def _measure(bench: Bench, parts: list[str], arguments: argparse.Namespace) -> None:
    bench.warm()
    for name in parts:
        CONSOLE.rule(name)
        PARTS[name](bench, arguments)
        CONSOLE.print("load average: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))
    if not print_books(bench.acknowledged, bench.status, bench.ledgers()):
        sys.exit("acknowledged payments and books differ")


if __name__ == "__main__":
    main()
