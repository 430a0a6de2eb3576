"""What TLS inside the mesh costs a payment: the code as it is beside a copy that speaks plain text.

Both run at once and are loaded in turn, some seconds each, so that what else the machine does meets
both alike.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.table import Table

from tests.changed_code import ROOT
from tests.load.measure import OUTSIDE
from tests.load.plain_copy import make_plain_copy
from tests.load.report import CONSOLE

ROUNDS = 5
SLICES = 3
SETTLE_S = 5.0  # change capture and webhooks work off what a load leaves behind in less
ENDING_S = 120
EDGE = "edge"  # the merchants' TLS, which both sides have
NAMES = ("with TLS", "plain")
KINDS = ("create", "charge")  # which together are a payment
HEALTH = "health"  # which Envoy answers by itself
NOT_OURS = (*OUTSIDE, "vegeta")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of request cost a side. answered: with 200. cpu_s: by process name."""

    answered: int
    others: int
    cpu_s: dict[str, float]

    def __add__(self, other: Cost) -> Cost:
        names = self.cpu_s | other.cpu_s
        return Cost(
            self.answered + other.answered,
            self.others + other.others,
            {name: self.cpu_s.get(name, 0) + other.cpu_s.get(name, 0) for name in names},
        )

    def cpu_us(self, name: str) -> float:
        """Return CPU microseconds per answered request."""
        return self.cpu_s[name] / self.answered * 1e6


Costs = dict[str, Cost]  # by kind


class Side:
    """A process that loads a sandbox of its own code. See `tls_side.py`."""

    def __init__(self, code: Path, folder: Path, seconds: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.tls_side", str(folder), str(seconds)],
            cwd=code,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it, which takes its sandbox down. Raises RuntimeError when its books differ."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(ENDING_S) and error is None:
            raise RuntimeError("a side ended badly: see above")

    def order(self, what: str) -> None:
        """Tell it what to do, see `Load.orders`; `answer` says when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Return what it prints next. Raises RuntimeError when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a side has ended: see above")
        return json.loads(line)


def measure(seconds: int) -> None:
    """Load both sides in turn, each kind of request so long, and print what it costs."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-tls-"))
    folder.chmod(0o755)
    try:
        make_plain_copy(folder / "code")
        with ExitStack() as stack:
            sides = []
            for code, name in ((ROOT, "tls"), (folder / "code", "plain")):
                (folder / name).mkdir()
                side = stack.enter_context(Side(code, folder / name, max(1, seconds // SLICES)))
                _check(side.answer(), is_plain=name == "plain")
                sides.append(side)
            _print_ratios("not counted, since Java compiles yet", *_round(sides))
            rounds = []
            for number in range(1, ROUNDS + 1):
                rounds.append(_round(sides))
                _print_ratios(f"round {number}", *rounds[-1])
            _print(rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(found: dict[str, Any], *, is_plain: bool) -> None:
    """Raise RuntimeError unless a sandbox is all TLS, or plain in all but its edge."""
    CONSOLE.print(
        f"{NAMES[is_plain]}: TLS on {', '.join(found['tls'])}; plain: {', '.join(found['plain'])}; "
        f"{found['postgres_tls']} of {found['postgres']} connections to PostgreSQL encrypted"
    )
    as_it_should = found["tls"] == [EDGE] if is_plain else not found["plain"]
    encrypted = 0 if is_plain else found["postgres"]
    if not as_it_should or found["postgres_tls"] != encrypted:
        raise RuntimeError("this side does not speak what it should")


def _round(sides: Sequence[Side]) -> list[Costs]:
    """Load both sides in turn, slice by slice, and return what each side spent by kind.

    What they spend when nothing is asked of them is measured first and taken off.
    """
    idle = [_by_second(spent) for spent in _both(sides, "idle")]
    found: list[Costs] = [{}, {}]
    for kind in (*KINDS, HEALTH):
        _both(sides, "mark")
        sent = [Counter[str](), Counter[str]()]
        for number in range(SLICES):
            for index in (0, 1) if number % 2 == 0 else (1, 0):  # against what drifts
                sides[index].order(kind)
                sent[index].update(sides[index].answer())
        time.sleep(SETTLE_S)
        for index, spent in enumerate(_both(sides, "spent")):
            used = {
                name: cpu_s - idle[index][name] * spent["lasted_s"]
                for name, cpu_s in spent["cpu_s"].items()
            }
            found[index][kind] = Cost(sent[index]["answered"], sent[index]["others"], used)
    idle_ms = (f"{1000 * by_name['ours']:.0f}" for by_name in idle)
    CONSOLE.print(
        f"idle, CPU ms per second: {' and '.join(idle_ms)}; load average: "
        "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
    )
    return found


def _both(sides: Sequence[Side], what: str) -> list[Any]:
    """Let both do the same at the same time."""
    for side in sides:
        side.order(what)
    return [side.answer() for side in sides]


def _by_second(spent: dict[str, Any]) -> dict[str, float]:
    return {name: cpu_s / spent["lasted_s"] for name, cpu_s in spent["cpu_s"].items()}


def _print(rounds: list[list[Costs]]) -> None:
    with_tls, plain = (_added([each[index] for each in rounds]) for index in (0, 1))
    _print_ratios("all rounds", with_tls, plain)
    table = Table(
        "process",
        *(f"{kind}, {name}" for kind in KINDS for name in NAMES),
        "payment, difference",
        title=f"CPU µs per request, {len(rounds)} rounds",
    )
    names = sorted(with_tls["charge"].cpu_s, key=lambda name: -with_tls["charge"].cpu_us(name))
    for name in [each for each in names if each not in NOT_OURS] + list(NOT_OURS):
        pairs = [(with_tls[kind].cpu_us(name), plain[kind].cpu_us(name)) for kind in KINDS]
        table.add_row(
            name,
            *(f"{cost:,.0f}" for pair in pairs for cost in pair),
            f"{sum(pair[0] - pair[1] for pair in pairs):+,.0f}",
            end_section=name in {"ours", names[-1]},
        )
    CONSOLE.print(table)


def _added(costs: list[Costs]) -> Costs:
    return {kind: sum((each[kind] for each in costs), Cost(0, 0, {})) for kind in costs[0]}


def _print_ratios(name: str, with_tls: Costs, plain: Costs) -> None:
    """Print TLS by plain, and what is the same on both sides, whose ratio is noise."""

    def ratio(kind: str, process: str) -> float:
        return with_tls[kind].cpu_us(process) / plain[kind].cpu_us(process)

    payment = [sum(side[kind].cpu_us("ours") for kind in KINDS) for side in (with_tls, plain)]
    others = sum(cost.others for side in (with_tls, plain) for cost in side.values())
    CONSOLE.print(
        f"{name}: create {ratio('create', 'ours'):.3f}, charge {ratio('charge', 'ours'):.3f}, "
        f"payment {payment[0]:,.0f} / {payment[1]:,.0f} µs = {payment[0] / payment[1]:.3f}; noise: "
        f"Envoy's own answers {ratio(HEALTH, 'envoy'):.3f}, load generator "
        f"{ratio('create', 'vegeta'):.3f} and {ratio('charge', 'vegeta'):.3f}; not 200: {others}"
    )
