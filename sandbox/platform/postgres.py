"""PostgreSQL 18 with mutual TLS: a database, an owner and a role for each service; no passwords."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from sandbox.platform import postgres_programs
from sandbox.process import Spec
from sandbox.state import PURGERS, UNPRIVILEGED

SETTINGS = {
    "wal_level": "logical",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "max_slot_wal_keep_size": "20GB",
    "archive_mode": "on",
    "archive_timeout": "60s",
    "track_commit_timestamp": "on",
    "log_min_duration_statement": "1000",
    "timezone": "UTC",
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.3",
}
# Over the network only certificates, whose CN is the role; what no line allows is refused. The
# superuser is whoever started the sandbox, on this machine.
HBA = """
local all,replication postgres peer map=operator
host all postgres all reject
hostssl all all all cert
"""
# PATH NAME FOLDER: put a file of the WAL there once, whole and on disk. PostgreSQL keeps the file
# and calls again until this succeeds, also after it or the machine died anywhere in here.
ARCHIVE_WAL = """
set -eu
[ -d "$3" ] || exit 0  # nobody has taken a backup yet, so nobody needs it
to="$3/$2.gz"
if [ -e "$to" ]; then
    gzip -dc "$to" | cmp - "$1"
else
    gzip -1nc "$1" > "$3/.$2.part"
    sync "$3/.$2.part"
    mv -T "$3/.$2.part" "$to"
fi
sync "$3"
"""


class Postgres:
    """One server in one folder.

    A server that root starts runs as an unprivileged user, who must be let in there. tls: the
    folder with the CA and everybody's certificates, of which the server gets copies of its own.
    programs: where PostgreSQL's programs are, or are to be put.
    """

    def __init__(self, folder: Path, port: int, tls: Path, programs: Path) -> None:
        self._folder = folder
        self.data = folder / "data"
        self.backups = folder / "backups"
        self._own = folder / "access"
        self._programs = programs
        self._port = port
        self._tls = tls
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    def url(self, role: str, database: str) -> str:
        """Return by which URL a role connects, with its certificate; libpq reads it each time."""
        parameters = {"sslmode": "verify-full"} | {
            name: str(self._tls / file)
            for name, file in (
                ("sslrootcert", "ca.crt"),
                ("sslcert", f"{role}.crt"),
                ("sslkey", f"{role}.key"),
            )
        }
        place = f"{role}@127.0.0.1:{self._port}/{database}"
        return f"postgresql://{place}?{urlencode(parameters)}"

    def connector_settings(self) -> dict[str, str]:
        """Return how Debezium connects, besides what the connectors say of themselves."""
        return {
            "database.hostname": "127.0.0.1",
            "database.port": str(self._port),
            "database.sslrootcert": str(self._tls / "ca.crt"),
            "database.sslcert": str(self._tls / "debezium.crt"),
            "database.sslkey": str(self._tls / "debezium.key"),
        }

    def superuser_url(self, database: str) -> str:
        """Return by which URL who started the sandbox connects, to read and change anything."""
        place = urlencode({"host": str(self._folder), "port": self._port})
        return f"postgresql://postgres@/{database}?{place}"

    def prepare(self) -> None:
        """Write the configuration, and make the data folder, once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        postgres_programs.install(self._programs)
        self._own.mkdir(exist_ok=True)
        for folder in (self._folder, self._own):
            self._give(folder)
        me = pwd.getpwuid(os.geteuid()).pw_name
        self._write("pg_hba.conf", HBA.encode())
        self._write("archive-wal", ARCHIVE_WAL.encode())
        # In a file, so that `alter system` changes what it may, as an operator would.
        settings = "".join(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        self._write("postgresql.conf", settings.encode())
        self._write("pg_ident.conf", f'operator "{me}" postgres\n'.encode())
        self._copy_certificates()
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        self._run(
            "initdb",
            *("--pgdata", str(self.data), "--username", "postgres"),
            *("--auth-local", "peer", "--auth-host", "reject"),
            *("--locale", "C.UTF-8", "--encoding", "UTF8", "--no-instructions"),
        )

    def reload(self) -> None:
        """Let a running server use the certificates that are in the TLS folder now.

        Connections go on; new ones get the new certificate. One that the server can't use it
        leaves alone, and its log says so. One that is away reads them when it starts.
        """
        self._copy_certificates()
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(self.superuser_url("postgres")) as connection,
        ):
            connection.execute("select pg_reload_conf()")

    def spec(self) -> Spec:
        """Return how to run it."""
        archive = (self._own / "archive-wal", "%p", "%f", self.backups / "wal")
        settings = {
            "config_file": str(self._own / "postgresql.conf"),
            "archive_command": "sh " + " ".join(f'"{part}"' for part in archive),
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "hba_file": str(self._own / "pg_hba.conf"),
            "ident_file": str(self._own / "pg_ident.conf"),
            "ssl_ca_file": str(self._own / "ca.crt"),
            "ssl_cert_file": str(self._own / "postgres.crt"),
            "ssl_key_file": str(self._own / "postgres.key"),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Spec(
            name="postgres",
            command=[str(self._programs / "bin" / "postgres"), "-D", str(self.data), *options],
            is_healthy=self._is_healthy,
            folder=self._folder,
            user=self._user,
            stop_signal=signal.SIGINT,
        )

    def archive_wal(self) -> None:
        """Have WAL archived from now on."""
        wal = self.backups / "wal"
        wal.mkdir(parents=True, exist_ok=True)
        self._give(wal)

    def own_data(self) -> None:
        """Give a data folder that somebody else has filled to who runs the server."""
        for path in (self.data, *self.data.rglob("*")):
            self._give(path)
        self.data.chmod(0o700)

    def create_databases(self, databases: Mapping[str, str]) -> None:
        """Make roles and databases, service → database, and the role that reads changes.

        What a role may do in a database stands beside its tables, in the service's migrations.
        """
        with psycopg.connect(self.superuser_url("postgres"), autocommit=True) as connection:
            for service, database in databases.items():
                _create_role(connection, service, "login")
                _create_role(connection, f"{service}_owner", "login")
                for role, purged in PURGERS.items():
                    if purged == service:
                        _create_role(connection, role, "login")
                _create_database(connection, database, f"{service}_owner")
            _create_role(connection, "debezium", "login replication")

    async def _is_healthy(self) -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(
                self.superuser_url("postgres"), connect_timeout=2
            )
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    def _copy_certificates(self) -> None:
        for name in ("ca.crt", "postgres.crt", "postgres.key"):
            self._write(name, (self._tls / name).read_bytes())

    def _write(self, name: str, content: bytes) -> None:
        """Replace a file of the server's, which nobody else may read."""
        fresh = self._own / f"{name}.new"
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        self._give(fresh)
        fresh.replace(self._own / name)

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user, self._user)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / "bin" / program), *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


def _create_role(
    connection: psycopg.Connection[tuple[object, ...]], role: str, abilities: LiteralString
) -> None:
    found = connection.execute("select from pg_roles where rolname = %s", [role])
    if found.rowcount == 0:
        connection.execute(
            sql.SQL("create role {} {}").format(sql.Identifier(role), sql.SQL(abilities))
        )


def _create_database(
    connection: psycopg.Connection[tuple[object, ...]], database: str, owner: str
) -> None:
    found = connection.execute("select from pg_database where datname = %s", [database])
    if found.rowcount == 0:
        connection.execute(
            sql.SQL("create database {} owner {}").format(
                sql.Identifier(database), sql.Identifier(owner)
            )
        )
