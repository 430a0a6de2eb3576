"""Everything that a sandbox leaves behind or shows while it runs, as bytes with a name."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from audit_svc.store.parquet import read_records
from sandbox.operator_access import kafka_of
from sandbox.platform.postgres_programs import tool
from tests.e2e.conftest import Mesh

Artefact = tuple[str, bytes]
SEGMENT_CHARACTERS = 24  # of the name of a segment of the WAL
# Programs that were copied or fetched: nothing of a run is written there.
PROGRAMS = ("kafka/lib", "connect/plugins", "postgres-programs")


def artefacts(mesh: Mesh) -> Iterator[Artefact]:
    """Return all of them, as they are now; what databases hold in memory is written first."""
    status = mesh.status()
    _write_out(mesh)
    yield from _processes(status["supervisor"]["pid"])
    yield from _dumps(status["databases"])
    yield from _records(status, None)
    yield from archived(mesh.state_dir / "archive")
    yield from wal(mesh)
    yield from files(mesh.state_dir, mesh.state_dir)


def records(mesh: Mesh, topic: str) -> bytes:
    """Return a topic's keys, values and headers."""
    [(_, content)] = _records(mesh.status(), topic)
    return content


def _write_out(mesh: Mesh) -> None:
    with psycopg.connect(mesh.status()["databases"]["txn"], autocommit=True) as connection:
        connection.execute("checkpoint")


def _processes(supervisor: int) -> Iterator[Artefact]:
    """Return what `ps` would show of each process, and its environment."""
    owner = psutil.Process(supervisor)
    for process in (owner, *owner.children(recursive=True)):
        try:
            name, words, environment = process.name(), process.cmdline(), process.environ()
        except psutil.NoSuchProcess:  # such as a worker of PostgreSQL that has done its work
            continue
        yield f"process {name} arguments", "\n".join(words).encode()
        yield f"process {name} environment", json.dumps(environment).encode()


def _dumps(databases: dict[str, str]) -> Iterator[Artefact]:
    """Return each database as text: so is read what tables keep compressed."""
    for name, dsn in databases.items():
        done = subprocess.run([tool("pg_dump"), dsn], capture_output=True, check=True)
        yield f"dump {name}", done.stdout


def _records(status: dict[str, Any], one: str | None) -> Iterator[Artefact]:
    """Return topics' keys, values and headers: so is read what segments keep compressed."""
    consumer = KafkaConsumer(**kafka_of(status), enable_auto_commit=False)
    try:
        for topic in sorted(consumer.topics()) if one is None else [one]:
            numbers = consumer.partitions_for_topic(topic) or set()
            partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
            yield f"topic {topic}", b"\n".join(_content(consumer, partitions))
    finally:
        consumer.close()


def _content(consumer: Any, partitions: list[TopicPartition]) -> Iterator[bytes]:
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning(*partitions)
    while any(consumer.position(each) < ends[each] for each in partitions):
        for rows in consumer.poll(timeout_ms=200).values():
            for row in rows:
                yield row.key or b""
                yield row.value or b""
                yield from (value or b"" for _, value in row.headers)


def archived(archive: Path) -> Iterator[Artefact]:
    """Return the archive's records: so is read what its files keep compressed."""
    for file in sorted(archive.rglob("*.parquet")):
        parts: list[bytes] = []
        for record in read_records(file.read_bytes()):
            parts += [record.key or b"", record.value or b""]
            parts += [value or b"" for _, value in record.headers]
        yield f"archived {file.relative_to(archive)}", b"\n".join(parts)


def wal(mesh: Mesh) -> Iterator[Artefact]:
    """Return what the WAL says, and its images of pages, which segments may keep compressed."""
    segments = mesh.state_dir / "postgres" / "data" / "pg_wal"
    first = min(file.name for file in segments.iterdir() if len(file.name) == SEGMENT_CHARACTERS)
    with psycopg.connect(mesh.status()["databases"]["txn"]) as connection:
        row = connection.execute(
            "select lsn, pg_walfile_name(lsn) from pg_current_wal_flush_lsn() as lsn"
        ).fetchone()
    assert row is not None
    end, last = row
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages"
        done = subprocess.run(
            [
                *(tool("pg_waldump"), f"--path={segments}", f"--end={end}"),
                *("--bkp-details", f"--save-fullpage={pages}", first, last),
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        yield "pg_waldump", done.stdout
        yield "pg_waldump pages", b"".join(page.read_bytes() for page in pages.iterdir())


def files(state_dir: Path, folder: Path) -> Iterator[Artefact]:
    """Return every file below: logs, spans, WAL, heaps, segments, books, clearing files, keys."""
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(state_dir))
        if file.is_symlink() or not file.is_file() or name.startswith(PROGRAMS):
            continue
        try:
            yield name, file.read_bytes()
        except FileNotFoundError:  # replaced while we look
            continue
