"""The archive over a real broker: everything once and in order, whoever dies, however many run."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
from kafka.structs import OffsetAndMetadata, TopicPartition

from audit_svc.domain.topics import TOPICS
from audit_svc.store.archive import AlreadyThere, Archive
from chassis.ids import new_id, new_merchant_id
from tests.integration.audit_parts import Auditing
from tests.integration.bucket import running_bucket
from tests.integration.kafka_parts import Broker, a_broker
from tests.unit.audit.parts import a_change

pytestmark = pytest.mark.integration

RECORDS = 3_000


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Run a broker whose topics are empty."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-audit-"))
    running = a_broker(folder)
    try:
        async with running.running():
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def auditing(broker: Broker, tmp_path: Path) -> Auditing:
    (tmp_path / "archive").mkdir()
    return Auditing(broker, tmp_path, (tmp_path / "archive").as_uri())


def _send(auditing: Auditing, records: int, seed: int) -> None:
    """Write records of many keys in transactions, some of which are aborted: offsets have gaps."""
    randomness = random.Random(seed)
    producer = auditing.producer(transactional_id=f"writer-{seed}")
    producer.init_transactions()
    while records > 0:
        producer.begin_transaction()
        count = randomness.randint(1, 60)
        for _ in range(count):
            key = f"pi_{randomness.randint(0, 200)}"
            topic = randomness.choice(TOPICS)
            value = a_change(randomness.randint(0, 9), None, {"id": key}).value
            producer.send(topic, key=key.encode(), value=value, headers=[("id", b"evt_1")])
        if randomness.random() < 0.2:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
            records -= count
    producer.close()


async def test_whoever_is_killed_everything_is_archived_once_and_in_order(
    auditing: Auditing,
) -> None:
    randomness = random.Random(7)
    writing = [
        asyncio.create_task(asyncio.to_thread(_send, auditing, RECORDS, seed)) for seed in (1, 2)
    ]
    kills = 0
    while not all(one.done() for one in writing) or kills < 6:
        with ExitStack() as stack:
            for _ in range(randomness.randint(1, 2)):
                stack.enter_context(auditing.process())
            await asyncio.sleep(randomness.uniform(2, 7))
        kills += 1
    await asyncio.gather(*writing)

    with auditing.process(), auditing.process():
        archived = await auditing.all_archived()
    in_kafka = await asyncio.to_thread(auditing.in_kafka)
    verdict = await asyncio.to_thread(auditing.verdict)

    assert archived == in_kafka
    assert any(
        two.offset - one.offset > 1 for rows in in_kafka.values() for one, two in pairwise(rows)
    )
    assert verdict.breaks == ()
    assert verdict.records == sum(len(rows) for rows in in_kafka.values())


async def test_what_kafka_was_told_is_not_believed(auditing: Auditing) -> None:
    await asyncio.to_thread(_send, auditing, 100, 3)
    ahead = {
        TopicPartition(*place): OffsetAndMetadata(rows[-1].offset + 1, "", -1)
        for place, rows in auditing.in_kafka().items()
    }
    consumer = auditing.consumer()
    consumer.assign(list(ahead))
    consumer.commit(ahead)
    consumer.close()

    with auditing.process():
        archived = await auditing.all_archived()

    assert archived == auditing.in_kafka()


async def test_a_story_is_told_before_and_after_it_is_archived(auditing: Auditing) -> None:
    payment = new_id("pi", new_merchant_id())
    created = {"id": payment, "status": "created"}
    producer = auditing.producer()
    for before, after in ((None, created), (created, created | {"status": "processing"})):
        value = a_change(0, before, after).value
        producer.send("cdc.intent.payment_intents", key=payment.encode(), value=value).get(30)
        with auditing.process() as process:
            early = await process.history(payment)
            await auditing.all_archived()
            late = await process.history(payment)
            unknown = await process.refusal(new_id("pi", new_merchant_id()))
            wrong = await process.refusal("pi_1")
        for told in (early, late):
            [row] = told.rows
            assert row.values == (
                f'{{"id":"{payment}","status":"{after["status"] if after else None}"}}'
            )
            assert not row.HasField("gap")
        assert early.changes[:-1] == late.changes[: len(early.changes) - 1]
        assert all(change.is_archived for change in late.changes)
        assert (unknown, wrong) == (
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.INVALID_ARGUMENT,
        )
    producer.close()


async def test_a_bucket_is_an_archive_like_a_folder(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_bucket(tmp_path) as bucket:
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        auditing = Auditing(broker, tmp_path, bucket.url)
        await asyncio.to_thread(_send, auditing, 400, 4)

        with auditing.process(), auditing.process():
            archived = await auditing.all_archived()
        verdict = await asyncio.to_thread(auditing.verdict)
        again = Archive(bucket.url)

        assert archived == auditing.in_kafka()
        assert verdict.breaks == ()
        with pytest.raises(AlreadyThere):
            again.create(again.names()[0], b"other")
