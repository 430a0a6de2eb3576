"""Backups of PostgreSQL: base backups, the WAL since the first, and a restore to any time between.

WAL is archived from the first backup on. A restore fills a folder of its own; the server that was
backed up may run meanwhile, or be gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from sandbox.platform.postgres import Postgres
from sandbox.platform.postgres_programs import tool

NAME = "%Y%m%dT%H%M%S.%fZ"  # of a base backup: when it was finished
RECOVERY_S_MAX = 3600.0
LOOK_S = 0.2


class BackupFailed(Exception):
    """There is no such backup, or none was made; the text says why."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored server's folder, and what it holds. backup: where the restore began.

    last_commit: of the newest transaction that was restored after that; None if there is none.
    """

    folder: Path
    backup: datetime
    last_commit: datetime | None


def take(server: Postgres) -> Path:
    """Take a base backup of a running server, verified and on disk. Raises BackupFailed."""
    base = server.backups / "base"
    base.mkdir(parents=True, exist_ok=True)
    server.archive_wal()
    partial = base / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    _run(
        *("pg_basebackup", "--pgdata", str(partial), "--dbname", server.superuser_url("postgres")),
        *("--checkpoint", "fast", "--wal-method", "stream", "--manifest-checksums", "SHA256"),
    )
    _run("pg_verifybackup", "--quiet", str(partial))
    done = base / datetime.now(UTC).strftime(NAME)
    partial.rename(done)
    _sync(base)
    return done


def restore(backups: Path, to: datetime, into: Postgres) -> Restored:
    """Fill the folder of a server with the databases as they were at a time.

    backups: the folder of the server that was backed up. The filled server is stopped; it has no
    replication slots, and nothing of unlogged tables. Raises BackupFailed.
    """
    if into.data.exists():
        raise BackupFailed(f"{into.data} is there already")
    backup, source = _newest(backups / "base", to)
    into.data.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, into.data, symlinks=True)
    (into.data / "recovery.signal").touch()
    into.own_data()
    into.prepare()
    wal = backups / "wal"
    options = {
        "restore_command": f'test -e "{wal}/%f.gz" && gzip -dc "{wal}/%f.gz" > "%p"',
        "recovery_target_time": to.isoformat(),
        "recovery_target_action": "promote",
        "listen_addresses": "",
    }
    with _running(into, options) as process:
        last_commit = _recovered(into, process)
    return Restored(into.data.parent, backup, last_commit)


def _newest(base: Path, to: datetime) -> tuple[datetime, Path]:
    """Return the newest base backup that was finished by a time, and when."""
    found = [
        (datetime.strptime(path.name, NAME).replace(tzinfo=UTC), path)
        for path in (base.iterdir() if base.is_dir() else ())
        if path.name != "partial"
    ]
    usable = [each for each in found if each[0] <= to]
    if not usable:
        raise BackupFailed(f"no base backup was finished by {to.isoformat()}")
    return max(usable)


@contextmanager
def _running(server: Postgres, options: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    spec = server.spec()
    more = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (server.data.parent / "restore.log").open("wb") as log:
        process = subprocess.Popen(
            [*spec.command, *more],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=spec.folder,
            user=spec.user,
            group=spec.user,
            extra_groups=None if spec.user is None else [],
        )
    try:
        yield process
    finally:
        process.send_signal(spec.stop_signal)
        process.wait()


def _recovered(server: Postgres, process: subprocess.Popen[bytes]) -> datetime | None:
    """Wait until a server has reached its time; return when its last transaction committed."""
    deadline = time.monotonic() + RECOVERY_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with psycopg.connect(server.superuser_url("postgres"), autocommit=True) as connection:
                found = connection.execute(
                    "select pg_is_in_recovery(), pg_last_xact_replay_timestamp()"
                ).fetchone()
        except psycopg.OperationalError:
            found = None
        if found is not None and not found[0]:
            last_commit: datetime | None = found[1]
            return last_commit
        time.sleep(LOOK_S)
    log = server.data.parent / "restore.log"
    lines = [line for line in log.read_text().splitlines() if "FATAL" in line]
    raise BackupFailed(f"{(lines or ['it takes too long'])[-1]}: see {log}")


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([tool(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupFailed(f"{program}: {done.stdout}{done.stderr}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
