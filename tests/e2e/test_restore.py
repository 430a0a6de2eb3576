"""Databases are restored to a time, and services catch up from Kafka, each effect once."""

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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

import recon_svc.consumer
import webhook_svc.consumer
from sandbox.operator_access import kafka_of
from sandbox.platform.postgres import Postgres
from sandbox.state import ROOT, StateDir
from tests.e2e.conftest import Delivery, Mesh
from tests.e2e.merchant import ANSWER_LOST, APPROVED, DECLINED, Merchant
from tests.integration.authz_client import free_port

pytestmark = pytest.mark.e2e

LOOKS_MAX = 900
EVENTS_OF_A_PAYMENT = 3
PRESENTED_TOO_HIGH = "4000000000990061"
EVENTS = "select id, type, message from events where merchant_id = %s order by id"
DELIVERIES = """
select event_id, endpoint_id, status, tries, (
    select count(*) from delivery_attempts a where a.delivery_id = d.id
) from deliveries d where merchant_id = %s order by event_id
"""

ATTEMPTS = """
select id, kind, status, reversal, version, amount_minor, amount_approved_minor, response_code,
    approval_code, network_trace_id
from attempts where merchant_id = %s order by id
"""
ARE_FINAL = """
select count(*) from attempts where merchant_id = %s and status not in ('recorded', 'timeout')
    and coalesce(reversal, 'acknowledged') = 'acknowledged'
"""
# Numbers of files and breaks are another database's own.
BREAKS = """
select kind, attempt_id, line, our_amount_minor, their_amount_minor, business_date
from breaks where merchant_id = %s and resolved_at is null order by kind, attempt_id, line
"""
OUTCOMES = "select id, status, reversal, version from attempts where merchant_id = %s order by id"
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose database is restored. queries: what must be as it was, of a merchant's."""

    name: str
    group: str
    topics: tuple[str, ...]
    queries: tuple[str, ...]


WEBHOOK = Service(
    "webhook", webhook_svc.consumer.GROUP, (*webhook_svc.consumer.TOPICS,), (EVENTS, DELIVERIES)
)
RECON = Service(
    "recon", recon_svc.consumer.GROUP, (*recon_svc.consumer.TOPICS,), (ATTEMPTS, BREAKS)
)


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


async def _charge(mesh: Mesh, merchant: Merchant, *cards: str) -> None:
    """Charge cards once more, and wait until recon_svc knows how each ended."""
    owner = merchant.keys.merchant_id
    [(before,)] = mesh.query("recon", ARE_FINAL, owner)
    for card in cards:
        intent = await merchant.create_intent(1099)
        await merchant.charge(intent["id"], card)
    await _until(lambda: mesh.query("recon", ARE_FINAL, owner) == [(before + len(cards),)])


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
async def service_on(
    server: Postgres, service: Service, variables: dict[str, str]
) -> AsyncIterator[None]:
    """Run a service on its restored database."""
    url = server.url(service.name, service.name)
    own = {
        "PAYMESH_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://"),
        "PAYMESH_LISTEN": f"127.0.0.1:{free_port()}",
        "PAYMESH_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "PAYMESH_DRAIN_S": "1",
    }
    with (server.data.parent / f"{service.name}.log").open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 returns at once
            [sys.executable, "-m", f"{service.name}_svc"],
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


@contextmanager
def _group(mesh: Mesh, service: Service) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
    """Lend a consumer of a service's group, and what that reads."""
    consumer = KafkaConsumer(
        **kafka_of(mesh.status()), group_id=service.group, enable_auto_commit=False
    )
    try:
        yield (
            consumer,
            [
                TopicPartition(topic, number)
                for topic in service.topics
                for number in consumer.partitions_for_topic(topic)
            ],
        )
    finally:
        consumer.close()


def _read_again(mesh: Mesh, service: Service, since: datetime) -> bool:
    """Set the group back to a time; return whether it was empty, so that this counts."""
    since_ms = int(since.timestamp() * 1000)
    try:
        with _group(mesh, service) as (consumer, partitions):
            at = consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
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
    return True


def _is_read(mesh: Mesh, service: Service) -> bool:
    """Return whether the group has read to the end."""
    with _group(mesh, service) as (consumer, partitions):
        ends = consumer.end_offsets(partitions)
        # Behind the last record there may be the mark of a transaction, which is never committed.
        return all((consumer.committed(one) or 0) >= ends[one] - 1 for one in partitions)


def _live(mesh: Mesh, service: Service, owner: str) -> list[Rows]:
    return [mesh.query(service.name, sql, owner) for sql in service.queries]


def _restored(server: Postgres, service: Service, owner: str) -> list[Rows]:
    with psycopg.connect(server.superuser_url(service.name)) as connection:
        return [connection.execute(sql.encode(), [owner]).fetchall() for sql in service.queries]


async def _catches_up(
    mesh: Mesh, server: Postgres, service: Service, owner: str, since: datetime
) -> None:
    """Let a service catch up on its restored database, and then once more, in its place."""
    before = _live(mesh, service, owner)
    with frozen(mesh, f"{service.name}_svc") as variables:
        for _ in range(2):  # what was caught up on is dropped when it comes once more
            await _until(lambda: _read_again(mesh, service, since))
            async with service_on(server, service, variables):
                await _until(
                    lambda: _restored(server, service, owner) == before and _is_read(mesh, service)
                )
        # What came meanwhile the restored one alone has read.
        await _until(lambda: _read_again(mesh, service, since))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that is not there yet, in one that every user can enter."""
    parent = Path(tempfile.mkdtemp(prefix="paymesh-restored-"))
    parent.chmod(0o755)
    yield parent / "restored"
    shutil.rmtree(parent, ignore_errors=True)


async def test_services_catch_up_from_kafka_after_a_restore(
    mesh: Mesh,
    connect: Callable[..., Merchant],
    receiver: tuple[str, asyncio.Queue[Delivery]],
    folder: Path,
) -> None:
    url, got = receiver
    told, cleared = connect(), connect()
    owners = {WEBHOOK: told.keys.merchant_id, RECON: cleared.keys.merchant_id}
    await asyncio.to_thread(mesh.run, "backup")
    events = ["payment.created", "payment.processing", "payment.succeeded"]
    await told.call("POST", "/webhook-endpoints", {"url": url, "enabledEvents": events})
    await _pay_and_wait(mesh, told, 1)
    await _charge(mesh, cleared, APPROVED)
    [(time_of_one,)] = mesh.query("webhook", "select clock_timestamp()")
    await _pay_and_wait(mesh, told, 2)
    await _pay_and_wait(mesh, told, 3)
    await _charge(mesh, cleared, DECLINED, ANSWER_LOST, PRESENTED_TOO_HIGH)
    await asyncio.to_thread(mesh.run, "networks", "clear")
    await _until(lambda: mesh.query("recon", BREAKS, owners[RECON]))
    before = {service: _live(mesh, service, owner) for service, owner in owners.items()}
    outcomes = mesh.query("txn", OUTCOMES, owners[RECON])
    await _archived(mesh)

    restored = json.loads(
        await asyncio.to_thread(
            mesh.run,
            *("restore", "--to", time_of_one.isoformat(), "--into", str(folder), "--json"),
        )
    )
    state = StateDir(mesh.state_dir)
    server = Postgres(folder, free_port(), state.tls, state.postgres_programs)
    server.prepare()

    assert datetime.fromisoformat(restored["lastCommit"]) <= time_of_one
    with running(server):
        counts = {
            service: [len(rows) for rows in _restored(server, service, owner)]
            for service, owner in owners.items()
        }
        assert counts == {WEBHOOK: [EVENTS_OF_A_PAYMENT] * 2, RECON: [1, 0]}
        with psycopg.connect(server.superuser_url("txn")) as connection:
            slots = connection.execute("select count(*) from pg_replication_slots").fetchone()
            tokens = connection.execute("select count(*) from card_tokens").fetchone()
        assert (slots, tokens) == ((0,), (0,))
        since = time_of_one - timedelta(minutes=5)
        for service, owner in owners.items():
            await _catches_up(mesh, server, service, owner, since)

    assert {each: _live(mesh, each, owner) for each, owner in owners.items()} == before
    assert mesh.query("txn", OUTCOMES, owners[RECON]) == outcomes
    deliveries = Counter(got.get_nowait()[0]["webhook-id"] for _ in range(got.qsize()))
    in_order = [deliveries[event_id] for event_id, *_ in before[WEBHOOK][0]]
    # Merchants are told once more what the restored database did not know that they were told.
    assert sorted(in_order) == [1] * EVENTS_OF_A_PAYMENT + [2] * 2 * EVENTS_OF_A_PAYMENT
