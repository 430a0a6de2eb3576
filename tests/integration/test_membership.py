"""A member of a consumer group notices when it no longer is one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest
from kafka import KafkaConsumer

from chassis import membership
from chassis.membership import Membership, NotAMember
from tests.integration.kafka_parts import Broker, a_broker

pytestmark = pytest.mark.integration

TOPIC = "events.attempt"
GROUP = "recon-attempts"
SILENT_S = 2.0


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """Run a broker for these tests."""
    made = a_broker(tmp_path_factory.mktemp("kafka"))
    async with made.running():
        yield made


@pytest.fixture
def consumer(broker: Broker) -> Iterator[KafkaConsumer]:
    """Make a consumer that sends heartbeats often."""
    often = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 200}
    made = KafkaConsumer(**broker.client("recon"), **often, group_id=GROUP)
    with closing(made):
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a member miss its heartbeats for less long."""
    monkeypatch.setattr(membership, "CHECK_S", 0.0)
    monkeypatch.setattr(membership, "SILENT_S_MAX", SILENT_S)


@pytest.mark.usefixtures("impatient")
def test_heartbeats_say_that_it_is_one(consumer: KafkaConsumer) -> None:
    member = Membership(consumer)
    member.subscribe([TOPIC])

    over_s = time.monotonic() + 2 * SILENT_S
    while time.monotonic() < over_s:
        consumer.poll(timeout_ms=200)
        member.check()

    assert consumer.assignment()


@pytest.mark.usefixtures("impatient")
def test_one_that_sends_no_heartbeats_is_told(consumer: KafkaConsumer) -> None:
    member = Membership(consumer)
    member.subscribe([TOPIC])  # it never polls, so it never joins
    member.check()

    time.sleep(SILENT_S)

    with pytest.raises(NotAMember):
        member.check()
