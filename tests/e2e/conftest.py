"""One sandbox for all end-to-end tests: started by `paymesh up`, ended by `paymesh down`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web

from sandbox import control
from sandbox.merchants import create_merchant
from sandbox.state import StateDir
from tests.e2e.merchant import Keys, Merchant, session

PAYMESH = Path(sys.executable).parent / "paymesh"

Delivery = tuple[dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running sandbox, as `paymesh status --json` describes it."""

    state_dir: Path

    def run(self, *arguments: str) -> str:
        """Run a paymesh command against this sandbox and return what it prints."""
        done = subprocess.run(
            [PAYMESH, *arguments, "--state-dir", str(self.state_dir)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return what runs where."""
        return control.running(StateDir(self.state_dir))

    def process(self, name: str) -> dict[str, Any]:
        """Return one process by name."""
        [process] = [row for row in self.status()["processes"] if row["name"] == name]
        return dict(process)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the simulated issuers' own books, all networks together."""
        found: list[dict[str, Any]] = []
        for network in self.status()["networks"].values():
            with urllib.request.urlopen(f"http://{network['admin']}/ledger") as answer:
                found += json.loads(answer.read())
        return found

    def new_keys(self, mode: str = "test") -> Keys:
        """Take a merchant on and return its keys."""
        making = create_merchant(StateDir(self.state_dir), self.status(), "Lemon Shop", mode)
        with ThreadPoolExecutor(1) as thread:  # the caller's own loop is running
            made = thread.submit(asyncio.run, making).result()
        return Keys(made.merchant_id, made.publishable_key, made.secret_key)

    async def killed(self, *names: str) -> None:
        """Kill processes at once, and wait until the edge sees others in their place."""
        pids = {name: self.process(name)["pid"] for name in names}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        for name, pid in pids.items():
            await self.healthy(name, other_than=pid)
        for _ in range(150):
            if not self._unhealthy_at_the_edge():
                return
            await asyncio.sleep(0.2)
        pytest.fail(f"the edge does not see {self._unhealthy_at_the_edge()}")

    def _unhealthy_at_the_edge(self) -> list[str]:
        """Return what Envoy's own checks have failed for, which lags behind the process."""
        ports = json.loads((self.state_dir / "ports.json").read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['edge_admin']}/clusters") as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if "::health_flags::" in line and "healthy" not in line]

    async def healthy(self, name: str, other_than: int) -> None:
        """Wait until a process of that name runs that is not the one it was."""
        for _ in range(300):
            process = self.process(name)
            if process["health"] == "healthy" and process["pid"] != other_than:
                return
            await asyncio.sleep(0.2)
        pytest.fail(f"{name} did not come back: {process}")

    def metric(self, process: str, name: str, label: str = "") -> float:
        """Return the sum of a metric over all its labels, 0 while it has none.

        label: one of them as Prometheus writes it, such as `database="intent"`, for those with it.
        """
        with urllib.request.urlopen(self.process(process)["metrics"]) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.partition("{")[0].partition(" ")[0] == name and label in line
        )

    def query(self, database: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read rows of a service's database."""
        with psycopg.connect(self.status()["databases"][database]) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    """Start a sandbox of its own, in a folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-e2e-"))
    folder.chmod(0o755)
    running = Mesh(folder)
    try:
        running.run("up")
        yield running
    finally:
        running.run("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def edge_url(mesh: Mesh) -> str:
    """Return where merchants call."""
    return str(mesh.status()["edge_url"])


@pytest.fixture(scope="session")
def ca_file(mesh: Mesh) -> Path:
    """Return the CA that signed the edge's certificate."""
    return Path(mesh.status()["ca_file"])


@pytest.fixture
async def connect(
    mesh: Mesh, edge_url: str, ca_file: Path
) -> AsyncIterator[Callable[..., Merchant]]:
    """Return a function that makes a merchant who can call the edge."""
    async with session(ca_file) as http:

        def _connect(keys: Keys | None = None, mode: str = "test") -> Merchant:
            return Merchant(http, edge_url, keys or mesh.new_keys(mode))

        yield _connect


@pytest.fixture
async def merchant(connect: Callable[..., Merchant]) -> Merchant:
    """Return a new merchant with test keys."""
    return connect()


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, asyncio.Queue[Delivery]]]:
    """A merchant's webhook receiver on loopback: its URL, and what it got."""
    got: asyncio.Queue[Delivery] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got.put_nowait((headers, await request.read()))
        return web.Response(text="thank you")

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/hook", got
    await runner.cleanup()
