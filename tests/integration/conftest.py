"""Real parts for integration tests: one PostgreSQL, a fresh database for each, edge/authz, keys."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from chassis.database import Database, connect
from chassis.identity import Caller
from chassis.migrate import migrate
from sandbox.platform.certificates import issue
from sandbox.platform.postgres import Postgres
from sandbox.state import DATABASES, ROOT
from sandbox.topology import SERVICES
from tests.fakes import FakeClock
from tests.integration.authz_client import Authz, free_port
from tests.integration.capture_parts import Holds, holds_over
from tests.integration.collector import Collector, running_collector
from tests.integration.intent_parts import IntentProcess, a_caller
from tests.integration.network_parts import Simulator, a_pool
from tests.integration.resolution_parts import (
    Networks,
    Resolving,
    running_networks,
    two_processes,
)
from tests.integration.settings import database_and_settings
from tests.integration.txn_parts import NETWORK
from txn_svc.networks.pool import NetworkPool

START_S_MAX = 30.0
PACKAGES = dict(SERVICES.values())  # by service


class DatabaseServer:
    """A running PostgreSQL with the roles of the sandbox."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._number = count(1)

    def database(self, service: str) -> str:
        """Return the SQLAlchemy URL, as a service has it, of a new database of that service."""
        name = self.empty_database(service)
        migrate(self.url(f"{service}_owner", name), PACKAGES[service])
        return self.url(service, name)

    def empty_database(self, service: str) -> str:
        """Return the name of a new database that has no tables yet."""
        name = f"{DATABASES[service]}_{next(self._number)}"
        self.server.create_databases({service: name})
        return name

    def url(self, role: str, name: str) -> str:
        """Return the SQLAlchemy URL of a database for a role."""
        return self.server.url(role, name).replace("postgresql://", "postgresql+psycopg://")

    def admin(self, url: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to the database of a URL as the superuser, for what no service may do."""
        name = sqlalchemy.make_url(url).database or ""
        return psycopg.connect(self.server.superuser_url(name), autocommit=True)


@contextmanager
def running_server(tls: Path) -> Iterator[DatabaseServer]:
    """Run PostgreSQL as the sandbox does, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-postgres-"))
    folder.chmod(0o755)  # root's server runs as a user who must be let in
    server = Postgres(folder / "postgres", free_port(), tls, folder / "programs")
    process = None
    try:
        server.prepare()
        process = start_server(server, folder / "postgres.log")
        yield DatabaseServer(server)
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(tls: Path) -> Iterator[DatabaseServer]:
    """Start PostgreSQL, and stop it after the last test."""
    with running_server(tls) as server:
        yield server


@pytest.fixture(scope="session")
async def intent_processes(
    postgres: DatabaseServer, tls: Path
) -> AsyncIterator[list[IntentProcess]]:
    """Run two processes of intent_svc on one database; tests differ in their merchants."""
    first, settings = await database_and_settings(postgres.database("intent"), tls)
    processes = [IntentProcess(each, FakeClock()) for each in (first, await connect(settings))]
    yield processes
    for process in processes:
        await process.store.close()
        await process.database.close()


@pytest.fixture(scope="session")
async def txn_databases(postgres: DatabaseServer, tls: Path) -> AsyncIterator[list[Database]]:
    """Return what two processes of txn_svc reach one database by; tests differ in merchants."""
    first, settings = await database_and_settings(postgres.database("txn"), tls)
    databases = [first, await connect(settings)]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(scope="session")
async def recon_databases(postgres: DatabaseServer, tls: Path) -> AsyncIterator[list[Database]]:
    """Return what two processes of recon_svc reach one database by; tests differ in merchants."""
    first, settings = await database_and_settings(postgres.database("recon"), tls)
    databases = [first, await connect(settings)]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(scope="session")
async def hold_databases(postgres: DatabaseServer, tls: Path) -> AsyncIterator[list[Database]]:
    """Return ways to databases of their own: two of intent_svc, one of txn_svc."""
    first, settings = await database_and_settings(postgres.database("intent"), tls)
    txn, _ = await database_and_settings(postgres.database("txn"), tls)
    databases = [first, await connect(settings), txn]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(scope="session")
async def networks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Networks]:
    """Run every simulated card network, and connections of two processes to each."""
    async with running_networks(tmp_path_factory.mktemp("networks")) as running:
        yield running


@pytest.fixture
async def resolving(
    txn_databases: list[Database], networks: Networks, caller: Caller
) -> AsyncIterator[Resolving]:
    """Lend two processes of txn_svc that resolve a merchant's attempts over the networks."""
    async with two_processes(txn_databases, networks, caller) as processes:
        yield processes


@pytest.fixture
async def recon_database(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Database]:
    """Return a new database of recon_svc: breaks are nobody's in particular."""
    database, _ = await database_and_settings(postgres.database("recon"), tls)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def hold_network(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Simulator, NetworkPool]]:
    """Run a simulated network, and connect to it."""
    folder = tmp_path_factory.mktemp("hold-network")
    simulator = Simulator(NETWORK, free_port(), free_port(), folder)
    with simulator.running():
        async with a_pool(simulator) as pool:
            yield simulator, pool


@pytest.fixture
async def holds(
    hold_databases: list[Database], hold_network: tuple[Simulator, NetworkPool]
) -> AsyncIterator[Holds]:
    """Wire intent_svc, txn_svc and a network, at a time of their own."""
    simulator, pool = hold_network
    async with holds_over(simulator, {NETWORK: pool}, hold_databases) as wired:
        yield wired


@pytest.fixture
def caller() -> Caller:
    """Return a new merchant's server, calling with a key of test mode."""
    return a_caller()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the CA, certificates and keys of a mesh."""
    folder = tmp_path_factory.mktemp("tls")
    issue(folder)
    return folder


@pytest.fixture(scope="session")
async def collector(tls: Path) -> AsyncIterator[Collector]:
    """Run a collector of spans until the last test."""
    async with running_collector(tls) as running:
        yield running


@pytest.fixture(scope="session")
async def authz(
    postgres: DatabaseServer,
    tls: Path,
    tmp_path_factory: pytest.TempPathFactory,
    collector: Collector,
) -> AsyncIterator[Authz]:
    """Run edge/authz until the last test."""
    ports = [free_port() for _ in range(3)]
    url = postgres.database("authz")
    settings = {
        "SERVICE_NAME": "authz",
        "LISTEN": f"127.0.0.1:{ports[0]}",
        "HTTP_LISTEN": f"127.0.0.1:{ports[1]}",
        "METRICS_LISTEN": f"127.0.0.1:{ports[2]}",
        "DATABASE_URL": url,
        "TLS_CERTIFICATE": str(tls / "authz.crt"),
        "TLS_KEY": str(tls / "authz.key"),
        "TLS_CA": str(tls / "ca.crt"),
        "JWKS_FILE": str(tls / "jwks.json"),
        "JWT_KEY_FILE": str(tls / "jwt.key"),
        "MASTER_KEY_FILE": str(tls / "master.key"),
        "DRAIN_S": "1",
        "TRACE_ENDPOINT": f"localhost:{collector.port}",
    }
    log = tmp_path_factory.mktemp("authz") / "authz.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 returns at once
            [sys.executable, "-m", "edge.authz"],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env={**os.environ, **{f"PAYMESH_{name}": value for name, value in settings.items()}},
        )
    try:
        running = Authz(tls, settings["LISTEN"], f"https://localhost:{ports[1]}", url)
        async with running.operator() as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
        yield running
    finally:
        process.terminate()
        assert process.wait(timeout=15) == 0, log.read_text()


def start_server(server: Postgres, log: Path) -> subprocess.Popen[bytes]:
    spec = server.spec()
    with log.open("ab") as output:
        process = subprocess.Popen(
            spec.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=spec.folder,
            user=spec.user,
            group=spec.user,
            extra_groups=None if spec.user is None else [],
        )
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            psycopg.connect(server.superuser_url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.1)
        else:
            return process
