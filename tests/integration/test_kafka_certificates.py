"""Kafka: certificates are renewed while the broker and its readers run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer

from sandbox.platform.certificates import issue
from sandbox.state import ROOT
from tests.integration.edge_parts import until
from tests.integration.kafka_parts import (
    Broker,
    a_broker,
    answers,
    context_of,
    put_certificate,
    trust,
)

pytestmark = pytest.mark.integration

LISTENERS = ("port", "controller_port")


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the same certificates twice, by an old and by a new CA."""
    old, new = (tmp_path_factory.mktemp(name) for name in ("old", "new"))
    issue(old)
    issue(new)
    return old, new


@pytest.fixture
async def broker(tmp_path: Path, generations: tuple[Path, Path]) -> AsyncIterator[Broker]:
    """Run a broker with an old certificate that trusts both CAs, as its clients do."""
    made = a_broker(tmp_path)
    old, _ = generations
    for name in ("kafka", "operator"):
        put_certificate(old, made.tls, name)
    trust(made.tls, *generations)
    async with made.running():
        yield made


async def test_the_broker_shows_a_renewed_certificate_and_goes_on(
    broker: Broker, generations: tuple[Path, Path]
) -> None:
    _, new = generations
    connected = await asyncio.to_thread(KafkaProducer, **broker.operator())
    put_certificate(new, broker.tls, "kafka")
    assert not any(answers(getattr(broker, at), context_of(new, "operator")) for at in LISTENERS)

    await broker.kafka.reload_certificate()

    assert all(answers(getattr(broker, at), context_of(new, "operator")) for at in LISTENERS)
    with closing(connected):
        await asyncio.to_thread(connected.send("events.attempt", b"1").get, timeout=30)


async def test_the_broker_no_longer_takes_certificates_of_a_ca_that_is_trusted_no_more(
    broker: Broker, generations: tuple[Path, Path]
) -> None:
    old, new = generations
    theirs = context_of(broker.tls, None)
    theirs.load_cert_chain(old / "intent.crt", old / "intent.key")
    assert answers(broker.port, theirs)
    for name in ("kafka", "operator"):
        put_certificate(new, broker.tls, name)
    await broker.kafka.reload_certificate()

    trust(broker.tls, new)
    await broker.kafka.reload_certificate()

    await until(lambda: not any(answers(getattr(broker, at), theirs) for at in LISTENERS))
    assert answers(broker.port, context_of(new, "intent"))


async def test_a_certificate_of_another_is_not_shown(
    broker: Broker, generations: tuple[Path, Path]
) -> None:
    old, _ = generations
    for kind in ("crt", "key"):
        content = (old / f"intent.{kind}").read_bytes()
        (broker.tls / f"kafka.{kind}").write_bytes(content)

    with pytest.raises(TimeoutError):
        await broker.kafka.reload_certificate()

    put_certificate(old, broker.tls, "kafka")
    await broker.kafka.reload_certificate()


async def test_a_reader_shows_its_renewed_certificate_when_it_connects_again(
    tmp_path: Path, generations: tuple[Path, Path]
) -> None:
    old, new = generations
    broker = a_broker(tmp_path)
    for name in ("kafka", "operator"):
        put_certificate(new, broker.tls, name)
    trust(broker.tls, old, new)
    tls = tmp_path / "service"
    issue(tls)
    put_certificate(old, tls, "intent")
    trust(tls, new)

    async with broker.running():
        reader = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.kafka_reader"),
            *("intent", str(tls), broker.kafka.bootstrap, "intent-attempts", "events.attempt"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        assert reader.stdout is not None
        await asyncio.to_thread(_send, broker, "evt_1")
        assert await asyncio.wait_for(reader.stdout.readline(), 60) == b"evt_1\n"

    put_certificate(new, tls, "intent")
    trust(broker.tls, new)
    async with broker.running():
        await asyncio.to_thread(_send, broker, "evt_2")

        # The first comes again where the broker ended before its offset was written down.
        while (read := await asyncio.wait_for(reader.stdout.readline(), 60)) == b"evt_1\n":
            continue
        assert read == b"evt_2\n"
        reader.terminate()
        await reader.wait()


def _send(broker: Broker, event_id: str) -> None:
    with closing(KafkaProducer(**broker.operator())) as producer:
        headers = [("id", event_id.encode())]
        producer.send("events.attempt", b"1", headers=headers).get(timeout=30)
