"""One sandbox for all end-to-end tests: started by `paymesh up`, ended by `paymesh down`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.merchant import Keys, Merchant, session

PAYMESH = Path(sys.executable).parent / "paymesh"


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
        status: dict[str, Any] = json.loads(self.run("status", "--json"))
        return status

    def process(self, name: str) -> dict[str, Any]:
        """Return one process by name."""
        [process] = [row for row in self.status()["processes"] if row["name"] == name]
        return dict(process)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the simulated issuers' own books, all networks together."""
        rows = json.loads(self.run("networks", "ledger", "--json"))
        return (
            [row for network in rows.values() for row in network]
            if isinstance(rows, dict)
            else rows
        )

    def new_keys(self, mode: str = "test") -> Keys:
        """Take a merchant on and return its keys."""
        made = json.loads(
            self.run("merchant", "create", "--name", "Lemon Shop", "--mode", mode, "--json")
        )
        return Keys(made["merchantId"], made["publishableKey"], made["secretKey"])

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
