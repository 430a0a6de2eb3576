"""Backups of a real server: its WAL archived once and whole, restored to any time in between."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from sandbox.platform import backups
from sandbox.platform.postgres import ARCHIVE_WAL, Postgres
from tests.integration.authz_client import free_port
from tests.integration.conftest import start_server

pytestmark = pytest.mark.integration

LOOKS_MAX = 600
TABLES = """
create table kept (number integer);
create unlogged table forgotten (number integer);
"""


class Server:
    """A running server that was backed up before anything was written."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        self.postgres = postgres
        self.folder = folder

    def write(self, number: int) -> datetime:
        """Write a row in a transaction of its own; return a time after it and before the next."""
        with psycopg.connect(self.postgres.superuser_url("postgres")) as connection:
            connection.execute("insert into kept values (%s)", [number])
            connection.execute("insert into forgotten values (%s)", [number])
            connection.commit()
            [after] = connection.execute("select clock_timestamp()").fetchone() or [None]
            assert isinstance(after, datetime)
            return after

    def archived(self) -> None:
        """Return when all that is written is archived."""
        with psycopg.connect(self.postgres.superuser_url("postgres"), autocommit=True) as admin:
            admin.execute("select pg_create_restore_point('here')")  # or there is nothing to switch
            [name] = admin.execute("select pg_walfile_name(pg_switch_wal())").fetchone() or [""]
            for _ in range(LOOKS_MAX):
                if (self.postgres.backups / "wal" / f"{name}.gz").exists():
                    return
                time.sleep(0.1)
        pytest.fail(f"{name} was not archived")

    def empty(self, name: str) -> Postgres:
        """Return a server whose folder is not there yet."""
        return Postgres(
            self.folder / name, free_port(), self.folder / "tls", self.folder / "programs"
        )

    def restore(self, name: str, to: datetime) -> backups.Restored:
        return backups.restore(self.postgres.backups, to, self.empty(name))


@pytest.fixture(scope="module")
def server(tls: Path) -> Iterator[Server]:
    """Run a server of its own, with a slot and a base backup."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-backups-"))
    folder.chmod(0o755)  # root's server runs as a user who must be let in
    shutil.copytree(tls, folder / "tls")
    postgres = Postgres(folder / "postgres", free_port(), folder / "tls", folder / "programs")
    postgres.prepare()
    process = start_server(postgres, folder / "postgres.log")
    try:
        with psycopg.connect(postgres.superuser_url("postgres"), autocommit=True) as admin:
            admin.execute(TABLES)
            admin.execute("select pg_create_logical_replication_slot('captured', 'pgoutput')")
        backups.take(postgres)
        yield Server(postgres, folder)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _read(server: Postgres, log: Path) -> tuple[list[int], int, int]:
    """Start a restored server; return the rows kept, the rows of the unlogged table, the slots."""
    process = start_server(server, log)
    try:
        with psycopg.connect(server.superuser_url("postgres")) as connection:
            kept = connection.execute("select number from kept order by 1").fetchall()
            counted = connection.execute(
                "select (select count(*) from forgotten),"
                " (select count(*) from pg_replication_slots)"
            ).fetchone()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert counted is not None
    return [number for (number,) in kept], *counted


def test_the_databases_are_restored_as_they_were_at_a_time(server: Server) -> None:
    server.write(1)
    time_of_two = server.write(2)
    server.write(3)
    server.archived()

    restored = server.restore("second", time_of_two)

    filled = server.empty("second")
    assert restored.folder == filled.data.parent
    assert restored.last_commit is not None
    assert restored.last_commit <= time_of_two
    # No slot, so Debezium begins anew; and no card, since their table is unlogged.
    assert _read(filled, server.folder / "second.log") == ([1, 2], 0, 0)
    with psycopg.connect(server.postgres.superuser_url("postgres")) as original:
        rows = original.execute("select number from kept order by 1").fetchall()
        assert rows == [(1,), (2,), (3,)]
        assert original.execute("select pg_walfile_name(pg_current_wal_lsn())").fetchone() != (
            None,
        )


def test_a_later_backup_is_the_beginning_of_what_comes_after_it(server: Server) -> None:
    made = backups.take(server.postgres)
    after = server.write(4)
    server.write(5)
    server.archived()

    restored = server.restore("third", after)

    assert restored.backup.strftime(backups.NAME) == made.name
    kept, *_ = _read(server.empty("third"), server.folder / "third.log")
    assert 4 in kept
    assert 5 not in kept


def test_a_time_that_the_archive_does_not_reach_is_refused(server: Server) -> None:
    server.archived()

    with pytest.raises(backups.BackupFailed, match="before configured recovery target"):
        server.restore("late", datetime.now(UTC) + timedelta(hours=1))


def test_a_time_before_the_first_backup_is_refused(server: Server) -> None:
    with pytest.raises(backups.BackupFailed, match="no base backup"):
        server.restore("early", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_folder_that_is_there_is_left_alone(server: Server) -> None:
    with pytest.raises(backups.BackupFailed, match="is there already"):
        backups.restore(server.postgres.backups, datetime.now(UTC), server.postgres)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a folder with a file of the WAL, and beside it the archive."""
    (tmp_path / "wal").mkdir()
    (tmp_path / "0001").write_bytes(b"records" * 1000)
    (tmp_path / "archive-wal").write_text(ARCHIVE_WAL)
    return tmp_path


def _archive(folder: Path) -> int:
    command: list[str | Path] = [
        "sh",
        folder / "archive-wal",
        folder / "0001",
        "0001",
        folder / "wal",
    ]
    return subprocess.run(command, check=False, capture_output=True).returncode


def test_a_file_of_the_wal_is_archived_once(archive: Path) -> None:
    there = archive / "wal" / "0001.gz"
    (archive / "wal" / ".0001.part").write_bytes(b"half of it, as who was killed left it")

    assert _archive(archive) == 0
    made = there.stat()
    assert gzip.decompress(there.read_bytes()) == b"records" * 1000
    assert _archive(archive) == 0
    assert (there.stat().st_ino, there.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert list((archive / "wal").iterdir()) == [there]


def test_another_file_of_that_name_is_refused_and_the_first_stays(archive: Path) -> None:
    _archive(archive)
    (archive / "0001").write_bytes(b"records of another history")

    assert _archive(archive) != 0
    assert gzip.decompress((archive / "wal" / "0001.gz").read_bytes()) == b"records" * 1000


def test_before_the_first_backup_nothing_is_kept(archive: Path) -> None:
    (archive / "wal").rmdir()

    assert _archive(archive) == 0
    assert not (archive / "wal").exists()
