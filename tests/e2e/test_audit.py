"""The audit trail of real payments: archived though audit_svc is killed, proved, told, queried."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from audit_svc.domain.record import Place, Record, read_change
from audit_svc.domain.topics import TOPICS
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import read_records
from sandbox.operator_access import kafka_of
from tests.e2e.conftest import PAYMESH, Mesh
from tests.e2e.merchant import APPROVED, DECLINED, Merchant
from tests.rows import as_in_database
from tests.topics import read_topics

pytestmark = pytest.mark.e2e

PAYMENTS = 30
ARCHIVED_S_MAX = 90
DATABASES = {"payment_intents": "intent", "transactions": "txn", "attempts": "txn"}
TABLES = {f"{database}.{table}" for table, database in DATABASES.items()}


async def _pay(merchant: Merchant, number: int) -> str:
    intent = await merchant.create_intent(1_000 + number)
    await merchant.charge(intent["id"], DECLINED if number % 5 == 0 else APPROVED)
    return str(intent["id"])


async def _history(mesh: Mesh, payment: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        await asyncio.to_thread(mesh.run, "audit", "history", payment, "--json")
    )
    return told


def _rows(mesh: Mesh, database: str, table: str, payment: str) -> dict[str, dict[str, Any]]:
    """Return a payment's rows of a table, by id."""
    column = "id" if table == "payment_intents" else "payment_intent_id"
    with psycopg.connect(mesh.status()["databases"][database], row_factory=dict_row) as connection:
        sql = f"select t.* from {table} t where {column} = %s"  # noqa: S608 the tables above
        return {row["id"]: row for row in connection.execute(sql.encode(), [payment])}


def _is_equal(told: dict[str, Any] | None, kept: dict[str, Any]) -> bool:
    return told is not None and kept == as_in_database(told, kept)


def _in_archive(folder: Path) -> dict[Place, list[Record]]:
    """Return what is in the archive's files, in their order."""
    archive = Archive(folder.as_uri())
    found: dict[Place, list[Record]] = defaultdict(list)
    for name in archive.names("data/"):
        for record in read_records(archive.get(name) or b""):
            found[record.place].append(record)
    return found


async def _archived(mesh: Mesh) -> dict[Place, list[Record]]:
    """Wait until what is in Kafka now is archived, and return that; the archive may hold more."""
    in_kafka = await asyncio.to_thread(read_topics, kafka_of(mesh.status()), TOPICS)
    for _ in range(ARCHIVED_S_MAX):
        found = await asyncio.to_thread(_in_archive, mesh.state_dir / "archive")
        if all(len(found[place]) >= len(rows) for place, rows in in_kafka.items()):
            begun = {place: found[place][: len(rows)] for place, rows in in_kafka.items()}
            assert begun == in_kafka
            return found
        await asyncio.sleep(1)
    pytest.fail("what is in Kafka was not archived")


def _last(archived: dict[Place, list[Record]]) -> dict[tuple[str, str], dict[str, Any] | None]:
    """Return each row as its changes leave it; each must begin with what the one before left."""
    last: dict[tuple[str, str], dict[str, Any] | None] = {}
    for place, records in archived.items():
        for record in records:
            change = read_change(record)
            if change is not None and place.topic.partition(".")[2] in TABLES:
                row_id = str((change.after or change.before or {})["id"])
                assert last.get((change.table, row_id)) == change.before
                last[change.table, row_id] = change.after
    return last


async def _rows_equal(mesh: Mesh, payments: list[str]) -> dict[Place, list[Record]]:
    """Wait until the archive has these payments' rows as the databases have them."""
    for _ in range(ARCHIVED_S_MAX):
        archived = await _archived(mesh)
        last = _last(archived)
        if all(
            _is_equal(last.get((table, row_id)), kept)
            for payment in payments
            for table, database in DATABASES.items()
            for row_id, kept in _rows(mesh, database, table, payment).items()
        ):
            return archived
        await asyncio.sleep(1)
    pytest.fail("the archive does not have the rows as they are")


async def test_every_row_change_is_archived_once_and_in_order_though_audit_svc_is_killed(
    mesh: Mesh, merchant: Merchant
) -> None:
    payments: list[str] = []
    for number in range(PAYMENTS):
        payments.append(await _pay(merchant, number))
        if number % 10 == 9:
            await mesh.killed("audit_svc")

    archived = await _rows_equal(mesh, payments)
    verdict = json.loads(await asyncio.to_thread(mesh.run, "audit", "verify", "--json"))

    assert verdict["brokenLinks"] == []
    assert verdict["records"] >= sum(len(rows) for rows in archived.values())


async def test_a_story_is_whole_before_it_is_archived_and_equals_the_rows(
    mesh: Mesh, merchant: Merchant
) -> None:
    payment = await _pay(merchant, 1)
    await merchant.final_intent(payment)

    for _ in range(50):
        told = await _history(mesh, payment)
        if {row["table"] for row in told["rows"]} == DATABASES.keys() and all(
            json.loads(row["values"])["status"] == "succeeded" for row in told["rows"]
        ):
            break
        await asyncio.sleep(0.2)

    for row in told["rows"]:
        assert "gap" not in row
        kept = _rows(mesh, DATABASES[row["table"]], row["table"], payment)
        assert _is_equal(json.loads(row["values"]), kept.pop(row["rowId"]))
        assert kept == {}
    assert Counter((one["table"], one["action"]) for one in told["changes"]) == {
        ("payment_intents", "created"): 1,
        ("payment_intents", "updated"): 2,
        ("transactions", "created"): 1,
        ("transactions", "updated"): 1,
        ("attempts", "created"): 1,
        ("attempts", "updated"): 1,
    }
    assert all(one["transactionId"] and one["logPosition"] for one in told["changes"])


async def test_an_auditor_needs_the_files_and_the_public_keys_alone(
    mesh: Mesh, merchant: Merchant, tmp_path: Path
) -> None:
    for number in range(8):
        await _pay(merchant, number)
    await _archived(mesh)
    keys = tmp_path / "keys.json"
    keys.write_text(mesh.run("audit", "keys"))
    copy = tmp_path / "archive"
    shutil.copytree(mesh.state_dir / "archive", copy)
    alone = ("audit", "verify", "--archive", copy.as_uri(), "--keys", str(keys))

    mesh.run(*alone)
    for what, (tamper, reason) in TAMPERED.items():
        file, *others = _files_of_payments(copy)
        before = {path: path.read_bytes() for path in (file, others[0], _manifest(file))}
        named = tamper(file, others[0])
        refused = await asyncio.to_thread(_refused, alone)
        for path, raw in before.items():
            path.write_bytes(raw)

        assert refused.returncode == 1, what
        assert f"{named.relative_to(copy)} {reason}" in refused.stderr, what
    mesh.run(*alone)


def _files_of_payments(archive: Path) -> list[Path]:
    """Return the first file of each partition of attempts."""
    return [min(folder.iterdir()) for folder in sorted(archive.glob("data/cdc.txn.attempts/*"))]


def _manifest(file: Path) -> Path:
    """Return the manifest of the first file of a partition."""
    topic, partition = file.parts[-3:-1]
    return file.parents[3] / "manifests" / topic / partition / "0000000001.json"


def _flip(file: Path, other: Path) -> Path:
    raw = bytearray(file.read_bytes())
    raw[40] ^= 1
    file.write_bytes(raw)
    return file


def _delete(file: Path, other: Path) -> Path:
    file.unlink()
    return file


def _swap(file: Path, other: Path) -> Path:
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)
    return file


def _cut(file: Path, other: Path) -> Path:
    file.write_bytes(file.read_bytes()[:-1])
    return file


def _rewrite(file: Path, other: Path) -> Path:
    """Let a manifest say that its file holds a record more, and leave its signature as it is."""
    manifest = _manifest(file)
    payload, _, signature = manifest.read_bytes().partition(b"\n")
    told = json.loads(payload)
    told["records"] += 1
    manifest.write_bytes(json.dumps(told, separators=(",", ":")).encode() + b"\n" + signature)
    return manifest


TAMPERED: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "a byte is flipped": (_flip, "has another content than its manifest says"),
    "a file is deleted": (_delete, "is not there"),
    "two files are swapped": (_swap, "has "),
    "a file is cut": (_cut, "has "),
    "a manifest is rewritten": (_rewrite, "has a signature that is not right"),
}


def _refused(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PAYMESH, *command], capture_output=True, text=True, check=False)


async def test_the_archive_is_asked_in_sql(mesh: Mesh, merchant: Merchant) -> None:
    payment = await _pay(merchant, 1)
    await _rows_equal(mesh, [payment])

    found = json.loads(
        mesh.run(
            *("audit", "query", "--json"),
            "select op, key, after->>'$.status' as status from archive "
            """where topic = 'cdc.intent.payment_intents' order by "offset" """,
        )
    )
    secrets = json.loads(
        mesh.run(
            *("audit", "query", "--json"),
            """select count(*) as keys, count(*) filter (where decode(value) like '%"secret":%')
            as secrets from archive where topic = 'cdc.authz.api_keys'""",
        )
    )

    assert [row["status"] for row in found if row["key"] == payment] == [
        "created",
        "processing",
        "succeeded",
    ]
    assert secrets[0]["secrets"] == 0
