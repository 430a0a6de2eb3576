"""Real parts for integration tests: one PostgreSQL, a fresh database for each, edge/authz, keys."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from chassis.database import Database, connect, migrate
from chassis.identity import Caller
from sandbox.platform.certificates import KEY_ID, issue
from sandbox.platform.postgres import Postgres
from sandbox.state import ROLES, ROOT
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


class DatabaseServer:
    """A running PostgreSQL with the roles of the sandbox."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._number = count(1)

    def database(self, role: str) -> str:
        """Return the SQLAlchemy URL of a new, empty database that belongs to a service's role."""
        name = f"{role}_{next(self._number)}"
        with psycopg.connect(self._server.dsn("postgres", "postgres"), autocommit=True) as admin:
            admin.execute(
                sql.SQL("create database {} owner {}").format(
                    sql.Identifier(name), sql.Identifier(role)
                )
            )
        return self._server.dsn(role, name).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    """Start PostgreSQL as the sandbox does, and stop it after the last test."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-postgres-"))
    folder.chmod(0o755)  # root's server runs as a user who must be let in
    passwords = {role: secrets.token_hex(8) for role in ROLES}
    server = Postgres(folder / "postgres", free_port(), passwords)
    process = None
    try:
        server.prepare()
        process = start_server(server, folder / "postgres.log")
        create_roles(server, passwords)
        yield DatabaseServer(server)
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def intent_processes(
    postgres: DatabaseServer, tls: Path
) -> AsyncIterator[list[IntentProcess]]:
    """Run two processes of intent_svc on one database; tests differ in their merchants."""
    first, settings = await database_and_settings(postgres.database("intent"), tls)
    await migrate(settings, "intent_svc")
    processes = [IntentProcess(each, FakeClock()) for each in (first, await connect(settings))]
    yield processes
    for process in processes:
        await process.store.close()
        await process.database.close()


@pytest.fixture(scope="session")
async def txn_databases(postgres: DatabaseServer, tls: Path) -> AsyncIterator[list[Database]]:
    """Return what two processes of txn_svc reach one database by; tests differ in merchants."""
    first, settings = await database_and_settings(postgres.database("txn"), tls)
    await migrate(settings, "txn_svc")
    databases = [first, await connect(settings)]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(scope="session")
async def recon_databases(postgres: DatabaseServer, tls: Path) -> AsyncIterator[list[Database]]:
    """Return what two processes of recon_svc reach one database by; tests differ in merchants."""
    first, settings = await database_and_settings(postgres.database("recon"), tls)
    await migrate(settings, "recon_svc")
    databases = [first, await connect(settings)]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(scope="session")
async def hold_databases(postgres: DatabaseServer, tls: Path) -> AsyncIterator[list[Database]]:
    """Return ways to databases of their own: two of intent_svc, one of txn_svc."""
    first, settings = await database_and_settings(postgres.database("intent"), tls)
    await migrate(settings, "intent_svc")
    txn, txn_settings = await database_and_settings(postgres.database("txn"), tls)
    await migrate(txn_settings, "txn_svc")
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
    database, settings = await database_and_settings(postgres.database("recon"), tls)
    await migrate(settings, "recon_svc")
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
    url = postgres.database("edge")
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
        "JWT_KEY_ID": KEY_ID,
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
            psycopg.connect(server.dsn("postgres", "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.1)
        else:
            return process


def create_roles(server: Postgres, passwords: dict[str, str]) -> None:
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as admin:
        for role in ROLES:
            if role != "postgres":
                replication = sql.SQL("replication" if role == "debezium" else "")
                admin.execute(
                    sql.SQL("create role {} login {} password {}").format(
                        sql.Identifier(role), replication, sql.Literal(passwords[role])
                    )
                )
