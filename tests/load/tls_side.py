"""One side of the comparison in `tls.py`: a sandbox of the code in this folder, and load on it.

`python -m tests.load.tls_side FOLDER SECONDS` prints a line of JSON when the sandbox runs
(`Connections`), one for each order that it reads (`Load.orders`), and at the end of its input takes
the sandbox down. The exit code is 1 when its books don't tie out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psycopg

from sandbox.state import StateDir
from tests.load.bench import WORKERS, Bench, Sandbox
from tests.load.measure import Usage
from tests.load.report import print_books
from tests.load.requests import Merchant, Request, charge, create
from tests.load.vegeta import Attack, Result

HTTP_PORTS = ("metrics", "admin", "connect", "proxy", "collector")  # plain, or nobody listens
IDLE_S = 8.0
ENCRYPTED = """
select count(*) filter (where ssl), count(*)
from pg_stat_ssl join pg_stat_activity using (pid) where client_addr is not null
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Connections:
    """How a sandbox's parts reach each other.

    tls, plain: ports by name, told by a handshake. postgres_tls, postgres: connections that are
    encrypted, and all.
    """

    tls: tuple[str, ...]
    plain: tuple[str, ...]
    postgres_tls: int
    postgres: int


@dataclasses.dataclass(frozen=True, slots=True)
class Spent:
    """What processes used since a mark. cpu_s: by process name, and "ours", their sum."""

    cpu_s: dict[str, float]
    lasted_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """What one attack got. answered: with 200. others: with anything else."""

    answered: int
    others: int


def connections(state: StateDir, status: dict[str, Any]) -> Connections:
    """Look at every port between parts, and ask PostgreSQL what its clients use."""
    ports: dict[str, int] = json.loads((state.path / "ports.json").read_text())
    speak_tls = {
        name: _speaks_tls(port, is_postgres=name == "postgres")
        for name, port in ports.items()
        if not name.endswith(HTTP_PORTS)
    }
    with psycopg.connect(status["databases"]["txn"]) as connection:
        row = connection.execute(ENCRYPTED).fetchone()
    assert row is not None
    return Connections(
        tuple(name for name, speaks in speak_tls.items() if speaks),
        tuple(name for name, speaks in speak_tls.items() if not speaks),
        *row,
    )


def _speaks_tls(port: int, *, is_postgres: bool) -> bool:
    """Return whether a handshake gets as far as the server's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 2) as plain:
        if is_postgres:
            plain.sendall(bytes.fromhex("0000000804d2162f"))  # SSLRequest
            if plain.recv(1) != b"S":
                return False
        try:
            with context.wrap_socket(plain):
                return True
        except OSError:
            return False


class Load:
    """Does what it is told: each kind of request, as many as get answers in so many seconds."""

    def __init__(self, bench: Bench, seconds: int) -> None:
        self._bench = bench
        self._seconds = seconds
        self._intents: list[tuple[Merchant, str]] = []
        self._marked_at = time.monotonic()
        self._before = Usage.now(bench.status)
        self.orders: dict[str, Callable[[], object]] = {
            "mark": self._mark,
            "idle": self._measure_idle,
            "create": self._create,
            "charge": self._charge,
            "health": self._ask_envoy,
            "spent": self._spent,
        }

    def _mark(self) -> None:
        self._before, self._marked_at = Usage.now(self._bench.status), time.monotonic()

    def _spent(self) -> Spent:
        spent = Usage.now(self._bench.status) - self._before
        return Spent(spent.cpu_s | {"ours": spent.ours_s}, time.monotonic() - self._marked_at)

    def _measure_idle(self) -> Spent:
        self._mark()
        time.sleep(IDLE_S)
        return self._spent()

    def _create(self) -> Sent:
        owners = [next(self._bench.merchants) for _ in range(3000 * self._seconds)]
        results = self._attack([create(self._bench.edge, owner) for owner in owners])
        self._intents += self._bench.paired(results, owners)
        return _sent(results)

    def _charge(self) -> Sent:
        results = self._attack([charge(self._bench.edge, *pair) for pair in self._intents])
        del self._intents[: len(results) + WORKERS]
        return _sent(results)

    def _ask_envoy(self) -> Sent:
        """Ask for what Envoy answers by itself."""
        request = Request("GET", f"{self._bench.edge}/healthz", b"", {})
        requests = [request] * (10_000 * self._seconds)
        return _sent(self._attack(requests))

    def _attack(self, requests: list[Request]) -> list[Result]:
        return self._bench.attack(Attack(requests, workers=WORKERS, seconds=self._seconds))


def _sent(results: list[Result]) -> Sent:
    answered = sum(result.ok for result in results)
    return Sent(answered, len(results) - answered)


def main(folder: Path, seconds: int, answers: TextIO) -> None:
    """Answer until the input ends."""
    sandbox = Sandbox(folder)

    def answer(value: object) -> None:
        answers.write(json.dumps(value, default=dataclasses.asdict) + "\n")
        answers.flush()

    try:
        sandbox.run("up")
        bench = Bench(sandbox)
        bench.warm()
        answer(connections(StateDir(folder), bench.status))
        load = Load(bench, seconds)
        for line in sys.stdin:
            answer(load.orders[line.strip()]())
        if not print_books(bench.acknowledged, bench.status, bench.ledgers()):
            sys.exit("acknowledged payments and books differ")
    finally:
        sandbox.run("down")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what else is printed is for people
    main(Path(sys.argv[1]), int(sys.argv[2]), own)
