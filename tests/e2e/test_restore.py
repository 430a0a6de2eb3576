"""A database is restored to a time, and its service catches up from Kafka, each effect once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from sandbox.operator_access import kafka_of
from sandbox.platform.postgres import Postgres
from sandbox.state import ROOT, StateDir
from tests.e2e.conftest import Delivery, Mesh
from tests.e2e.merchant import APPROVED, Merchant
from tests.integration.authz_client import free_port
from webhook_svc.consumer import GROUP, TOPICS

pytestmark = pytest.mark.e2e

LOOKS_MAX = 900
EVENTS_OF_A_PAYMENT = 3
EVENTS = "select id, type, message from events where merchant_id = %s order by id"
DELIVERIES = """
select event_id, endpoint_id, status, tries, (
    select count(*) from delivery_attempts a where a.delivery_id = d.id
) from deliveries d where merchant_id = %s order by event_id
"""


def _pay_and_wait(mesh: Mesh, merchant: Merchant, payments: int) -> Any:
    """Return a coroutine that pays once more and waits until all was delivered."""

    async def pay() -> None:
        intent = await merchant.create_intent(1099)
        await merchant.charge(intent["id"], APPROVED)
        await _until(lambda: _delivered(mesh, merchant) == payments * EVENTS_OF_A_PAYMENT)

    return pay()


def _delivered(mesh: Mesh, merchant: Merchant) -> int:
    sql = "select count(*) from deliveries where merchant_id = %s and status = 'succeeded'"
    [(count,)] = mesh.query("webhook", sql, merchant.keys.merchant_id)
    return int(count)


async def _until(is_so: Any) -> None:
    for _ in range(LOOKS_MAX):
        if await asyncio.to_thread(is_so):
            return
        await asyncio.sleep(0.2)
    pytest.fail("it did not come to that")


async def _archived(mesh: Mesh) -> None:
    """Wait until the WAL that is written by now has reached the archive."""
    dsn = mesh.status()["databases"]["webhook"]
    with psycopg.connect(dsn, autocommit=True) as admin:
        [name] = admin.execute("select pg_walfile_name(pg_switch_wal())").fetchone() or [""]
    await _until((mesh.state_dir / "postgres" / "backups" / "wal" / f"{name}.gz").exists)


@contextmanager
def running(server: Postgres) -> Iterator[None]:
    """Run a restored server."""
    spec = server.spec()
    with (server.data.parent / "second.log").open("wb") as log:
        process = subprocess.Popen(
            spec.command,
            stdout=log,
            stderr=log,
            cwd=spec.folder,
            user=spec.user,
            group=spec.user,
            extra_groups=None if spec.user is None else [],
        )
    try:
        for _ in range(LOOKS_MAX):
            try:
                psycopg.connect(server.superuser_url("postgres")).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield
    finally:
        process.send_signal(spec.stop_signal)
        process.wait()


@contextmanager
def frozen(mesh: Mesh, name: str) -> Iterator[dict[str, str]]:
    """Freeze a process, as good as gone for Kafka; lend the variables that it was started with."""
    pid = mesh.process(name)["pid"]
    raw = Path(f"/proc/{pid}/environ").read_text()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield dict(line.split("=", 1) for line in raw.split("\0") if "=" in line)
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def service_on(server: Postgres, variables: dict[str, str], log: Path) -> AsyncIterator[None]:
    """Run webhook_svc on the restored database."""
    url = server.url("webhook", "webhook").replace("postgresql://", "postgresql+psycopg://")
    own = {
        "PAYMESH_DATABASE_URL": url,
        "PAYMESH_LISTEN": f"127.0.0.1:{free_port()}",
        "PAYMESH_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "PAYMESH_DRAIN_S": "1",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 returns at once
            [sys.executable, "-m", "webhook_svc"],
            cwd=ROOT,
            env=variables | own,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def _read_again(mesh: Mesh, since: datetime) -> bool:
    """Set the group back to a time; return whether it was empty, so that this counts."""
    consumer = KafkaConsumer(**kafka_of(mesh.status()), group_id=GROUP, enable_auto_commit=False)
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in TOPICS
            for number in consumer.partitions_for_topic(topic)
        ]
        at = consumer.offsets_for_times(dict.fromkeys(partitions, int(since.timestamp() * 1000)))
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.commit(
            {
                one: OffsetAndMetadata(at[one].offset if at.get(one) else ends[one], "", -1)
                for one in partitions
            }
        )
    except KafkaError:
        return False
    else:
        return True
    finally:
        consumer.close()


def _is_read(mesh: Mesh) -> bool:
    """Return whether the group has read to the end."""
    consumer = KafkaConsumer(**kafka_of(mesh.status()), group_id=GROUP, enable_auto_commit=False)
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in TOPICS
            for number in consumer.partitions_for_topic(topic)
        ]
        ends = consumer.end_offsets(partitions)
        # Behind the last record there may be the mark of a transaction, which is never committed.
        return all((consumer.committed(one) or 0) >= ends[one] - 1 for one in partitions)
    finally:
        consumer.close()


def _rows(server: Postgres, merchant: Merchant) -> list[list[tuple[Any, ...]]]:
    with psycopg.connect(server.superuser_url("webhook")) as connection:
        return [
            connection.execute(sql.encode(), [merchant.keys.merchant_id]).fetchall()
            for sql in (EVENTS, DELIVERIES)
        ]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that is not there yet, in one that every user can enter."""
    parent = Path(tempfile.mkdtemp(prefix="paymesh-restored-"))
    parent.chmod(0o755)
    yield parent / "restored"
    shutil.rmtree(parent, ignore_errors=True)


async def test_webhook_svc_catches_up_from_kafka_after_a_restore(
    mesh: Mesh,
    merchant: Merchant,
    receiver: tuple[str, asyncio.Queue[Delivery]],
    folder: Path,
    tmp_path: Path,
) -> None:
    url, got = receiver
    await asyncio.to_thread(mesh.run, "backup")
    await merchant.call(
        "POST",
        "/webhook-endpoints",
        {
            "url": url,
            "enabledEvents": ["payment.created", "payment.processing", "payment.succeeded"],
        },
    )
    await _pay_and_wait(mesh, merchant, 1)
    [(time_of_one,)] = mesh.query("webhook", "select clock_timestamp()")
    await _pay_and_wait(mesh, merchant, 2)
    await _pay_and_wait(mesh, merchant, 3)
    own = merchant.keys.merchant_id
    before = [mesh.query("webhook", sql, own) for sql in (EVENTS, DELIVERIES)]
    await _archived(mesh)

    told = json.loads(
        await asyncio.to_thread(
            mesh.run,
            *("restore", "--to", time_of_one.isoformat(), "--into", str(folder), "--json"),
        )
    )
    state = StateDir(mesh.state_dir)
    server = Postgres(folder, free_port(), state.tls, state.postgres_programs)
    server.prepare()

    assert datetime.fromisoformat(told["lastCommit"]) <= time_of_one
    assert [mesh.query("webhook", sql, own) for sql in (EVENTS, DELIVERIES)] == before
    with running(server), frozen(mesh, "webhook_svc") as variables:
        assert [len(rows) for rows in _rows(server, merchant)] == [EVENTS_OF_A_PAYMENT] * 2
        with psycopg.connect(server.superuser_url("txn")) as restored:
            slots = restored.execute("select count(*) from pg_replication_slots").fetchone()
            tokens = restored.execute("select count(*) from card_tokens").fetchone()
        assert (slots, tokens) == ((0,), (0,))
        for _ in range(2):  # what was caught up on is dropped when it comes once more
            await _until(lambda: _read_again(mesh, time_of_one - timedelta(minutes=5)))
            async with service_on(server, variables, tmp_path / "webhook.log"):
                await _until(lambda: _rows(server, merchant) == before and _is_read(mesh))

    deliveries = Counter(got.get_nowait()[0]["webhook-id"] for _ in range(got.qsize()))
    in_order = [deliveries[event_id] for event_id, *_ in before[0]]
    # Merchants are told once more what the restored database did not know that they were told.
    assert sorted(in_order) == [1] * EVENTS_OF_A_PAYMENT + [2] * 2 * EVENTS_OF_A_PAYMENT
