"""Certificates of PostgreSQL and of who connects to it are renewed while everything runs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography import x509

from chassis.database import Database, Row, connect
from chassis.errors import ServiceUnavailable
from sandbox.platform.certificates import issue
from sandbox.platform.postgres import Postgres
from tests.integration.authz_client import free_port
from tests.integration.conftest import DatabaseServer, start_server
from tests.integration.settings import settings_of

pytestmark = pytest.mark.integration

SERIAL = "select client_serial as serial from pg_stat_ssl where pid = pg_backend_pid()"
TRIES_MAX = 100


@pytest.fixture(scope="module")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with certificates that come to replace those in use."""
    folder = tmp_path_factory.mktemp("renewed")
    issue(folder)
    return folder


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, renewed: Path) -> Path:
    """Return the folder that is used; there also the CA of the renewed ones is trusted."""
    folder = tmp_path_factory.mktemp("used")
    issue(folder)
    both = (folder / "ca.crt").read_bytes() + (renewed / "ca.crt").read_bytes()
    (folder / "ca.crt").write_bytes(both)
    return folder


@pytest.fixture(scope="module")
def server(used: Path) -> Iterator[DatabaseServer]:
    """Run a PostgreSQL of its own."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-renewal-"))
    folder.chmod(0o755)  # root's server runs as a user who must be let in
    port = free_port()
    postgres = Postgres(folder / "postgres", port, used, folder / "programs")
    postgres.prepare()
    process = start_server(postgres, folder / "postgres.log")
    try:
        yield DatabaseServer(postgres)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def url(server: DatabaseServer) -> str:
    return server.database("intent")


@pytest.fixture
async def database(url: str, used: Path) -> AsyncIterator[Database]:
    made = await connect(settings_of("intent", used, url))
    yield made
    await made.close()


async def test_new_connections_show_a_renewed_certificate(
    server: DatabaseServer, url: str, database: Database, used: Path, renewed: Path
) -> None:
    [before] = await database.fetch(SERIAL)

    _replace(used, renewed, "intent")
    [meanwhile] = await database.fetch(SERIAL)
    with server.admin(url) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'intent'"
        )
    [after] = await _fetched_again(database, SERIAL)

    assert meanwhile == before
    assert after["serial"] == _serial(renewed / "intent.crt") != before["serial"]


async def test_the_server_shows_a_renewed_certificate_when_it_is_told(
    server: DatabaseServer, url: str, used: Path, renewed: Path
) -> None:
    connection = psycopg.connect(url.replace("+psycopg", ""))
    before = _shown(url, used)

    _replace(used, renewed, "postgres")
    meanwhile = _shown(url, used)
    server.server.reload()
    await _until_shown(url, used, _serial(renewed / "postgres.crt"))
    (used / "postgres.key").write_text("not a key")
    server.server.reload()
    connection.execute("select 1")
    connection.close()
    psycopg.connect(url.replace("+psycopg", "")).close()

    assert meanwhile == before
    assert _shown(url, used) == _serial(renewed / "postgres.crt")


async def _fetched_again(database: Database, query: str) -> list[Row]:
    """Ask until all connections that were ended are found to be so."""
    for _ in range(TRIES_MAX):
        with contextlib.suppress(ServiceUnavailable):
            return await database.fetch(query)
    pytest.fail("there is no new connection")


def _replace(used: Path, renewed: Path, name: str) -> None:
    for file in (f"{name}.crt", f"{name}.key"):
        shutil.copy2(renewed / file, used / f"{file}.new")
        (used / f"{file}.new").replace(used / file)


def _serial(file: Path) -> int:
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def _shown(url: str, tls: Path) -> int:
    """Return the serial of the certificate that the server shows (it speaks TLS from the first)."""
    port = psycopg.conninfo.conninfo_to_dict(url.replace("+psycopg", ""))["port"]
    context = ssl.create_default_context(cafile=tls / "ca.crt")
    context.set_alpn_protocols(["postgresql"])
    with (
        socket.create_connection(("127.0.0.1", int(str(port)))) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return int(str((secured.getpeercert() or {})["serialNumber"]), 16)


async def _until_shown(url: str, tls: Path, serial: int) -> None:
    for _ in range(TRIES_MAX):
        if _shown(url, tls) == serial:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the server shows its old certificate")
