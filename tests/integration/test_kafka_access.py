"""Kafka: who gets in, and that each service can do what it has to and nothing else."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    NewTopic,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import AuthorizationError, KafkaError, TopicAuthorizationFailedError
from kafka.structs import TopicPartition

from sandbox.platform.certificates import NAMES, issue
from sandbox.state import OWNERS, PURGERS
from tests.integration.kafka_parts import (
    HOST,
    Broker,
    a_broker,
    answers,
    context_of,
    put_odd_certificate,
    trust,
)

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Rights:
    """All that a service may do."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    transactions: frozenset[str] = frozenset()


def _rights(reads: str = "", writes: str = "", groups: str = "", transactions: str = "") -> Rights:
    return Rights(*(frozenset(names.split()) for names in (reads, writes, groups, transactions)))


STATE = "connect-configs connect-offsets connect-status"
EVENTS = "events.payment_intent events.attempt"
TRAIL = (
    "cdc.intent.payment_intents cdc.txn.transactions cdc.txn.attempts "
    "cdc.recon.breaks cdc.recon.clearing_files cdc.webhook.webhook_endpoints "
    "cdc.authz.merchants cdc.authz.api_keys cdc.authz.api_key_changes cdc.authz.payment_domains"
)
CONNECTORS = ("intent", "txn", "recon", "webhook", "authz")
HEARTBEATS = " ".join(f"cdc.{name}.heartbeats" for name in CONNECTORS)
TASKS = " ".join(f"paymesh-connect-{name}-0" for name in CONNECTORS)
RIGHTS = {
    "intent": _rights(
        EVENTS, "dead-letters.intent-attempts events.payment_intent", "intent-attempts"
    ),
    "txn": _rights("events.attempt", "events.attempt"),
    "webhook": _rights(
        "events.payment_intent", "dead-letters.webhook-payments", "webhook-payments"
    ),
    "recon": _rights("events.attempt", "dead-letters.recon-attempts", "recon-attempts"),
    "audit": _rights(f"{EVENTS} {TRAIL} {HEARTBEATS}", groups="audit-archive"),
    "connect": _rights(
        STATE,
        f"{STATE} {EVENTS} {TRAIL} {HEARTBEATS}",
        "paymesh-connect",
        f"connect-cluster-paymesh-connect {TASKS}",
    ),
}
OF_DATABASES = (*OWNERS, *PURGERS)  # roles there, and nobody in Kafka
USERS = [name for name in NAMES if name not in {"kafka", "operator", *OF_DATABASES}]


def _all(kind: str) -> list[str]:
    found: set[str] = set()
    for rights in RIGHTS.values():
        found |= getattr(rights, kind)
    return sorted(found)


TOPICS = sorted({*_all("reads"), *_all("writes")})


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """Run a broker with a record in every topic."""
    made = a_broker(tmp_path_factory.mktemp("kafka"))
    odd = made.folder / "odd"
    shutil.copytree(made.tls, odd)
    put_odd_certificate(odd, "operator")
    trust(made.tls, odd)  # the CA of the mesh stands there too
    async with made.running():
        await asyncio.to_thread(_fill, made)
        yield made


def _fill(broker: Broker) -> None:
    with closing(KafkaProducer(**broker.operator())) as producer:
        for topic in TOPICS:
            producer.send(topic, key=b"k", value=b"v", partition=0).get(timeout=30)


@contextmanager
def _refusals(refused: set[str], name: str) -> Iterator[None]:
    try:
        yield
    except AuthorizationError:
        refused.add(name)


def _read(broker: Broker, user: str, topic: str) -> None:
    """Read a record of a topic. Raises AuthorizationError."""
    partition = TopicPartition(topic, 0)
    with closing(KafkaConsumer(**broker.client(user), auto_offset_reset="earliest")) as consumer:
        if not consumer.partitions_for_topic(topic):
            raise TopicAuthorizationFailedError(topic)  # it is there, and not to be seen
        consumer.assign([partition])
        for _ in range(100):
            if consumer.poll(timeout_ms=500):
                return
    pytest.fail(f"{user} was neither refused {topic} nor given its record")


def _write(broker: Broker, user: str, topic: str) -> None:
    """Write a record to a topic. Raises AuthorizationError.

    Without idempotence, or who may write nowhere is refused that before the topic.
    """
    with closing(KafkaProducer(**broker.client(user), enable_idempotence=False)) as producer:
        producer.send(topic, key=b"k", value=b"v", partition=0).get(timeout=30)


def _join(broker: Broker, user: str, group: str) -> None:
    """Become a member of a group. Raises AuthorizationError."""
    topic = min(RIGHTS.get(user, Rights()).reads, default="events.attempt")
    with closing(KafkaConsumer(**broker.client(user), group_id=group)) as consumer:
        consumer.subscribe([topic])
        for _ in range(100):
            consumer.poll(timeout_ms=200)
            if consumer.assignment():
                return
    pytest.fail(f"{user} was neither refused nor let into {group}")


def _begin(broker: Broker, user: str, transactional_id: str) -> None:
    """Begin a transaction, which ends that of whoever had the id. Raises AuthorizationError."""
    with closing(
        KafkaProducer(**broker.client(user), transactional_id=transactional_id)
    ) as producer:
        producer.init_transactions()


ACTS: dict[str, Callable[[Broker, str, str], None]] = {
    "reads": _read,
    "writes": _write,
    "groups": _join,
    "transactions": _begin,
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("kind", sorted(ACTS))
def test_a_service_can_do_what_it_must_and_nothing_else(
    broker: Broker, user: str, kind: str
) -> None:
    names = TOPICS if kind in {"reads", "writes"} else _all(kind)
    refused: set[str] = set()

    for name in names:
        with _refusals(refused, name):
            ACTS[kind](broker, user, name)

    assert set(names) - refused == getattr(RIGHTS.get(user, Rights()), kind)


def _an_acl(user: str) -> ACL:
    return ACL(
        f"User:{user}",
        "*",
        ACLOperation.WRITE,
        ACLPermissionType.ALLOW,
        ResourcePattern(ResourceType.TOPIC, "events.attempt"),
    )


async def test_a_right_that_is_written_nowhere_is_taken_away_and_that_counts_at_once(
    broker: Broker,
) -> None:
    def grant() -> None:
        with closing(KafkaAdminClient(**broker.operator())) as admin:
            admin.create_acls([_an_acl("authz")])

    def send() -> None:
        producer.send("events.attempt", b"1").get(timeout=30)

    await asyncio.to_thread(grant)
    producer = await asyncio.to_thread(KafkaProducer, **broker.client("authz"))
    with closing(producer):
        await asyncio.to_thread(send)

        await broker.kafka.create_users_and_topics()

        with pytest.raises(AuthorizationError):
            await asyncio.to_thread(send)


OPERATORS_ACTS: dict[str, Callable[[KafkaAdminClient, str], Any]] = {
    "create a topic": lambda admin, user: admin.create_topics([NewTopic(f"of-{user}", 1, 1)]),
    "delete a topic": lambda admin, _: admin.delete_topics(["events.attempt"]),
    "take a right": lambda admin, user: admin.create_acls([_an_acl(user)])["failed"][0],
    "see the rights": lambda admin, user: admin.describe_acls(_an_acl(user)),
    "configure the broker": lambda admin, _: admin.alter_configs(
        [ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.threads": "2"})],
        raise_on_unknown=False,
    ),
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("act", sorted(OPERATORS_ACTS))
def test_what_the_operator_does_nobody_else_can(broker: Broker, user: str, act: str) -> None:
    with closing(KafkaAdminClient(**broker.client(user))) as admin:
        try:
            said = str(OPERATORS_ACTS[act](admin, user))
        except KafkaError as refused:
            said = repr(refused)

    assert "AuthorizationFailed" in said


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the certificates of another CA."""
    folder = tmp_path_factory.mktemp("stranger")
    issue(folder)
    return folder


@pytest.mark.parametrize("listener", ["port", "controller_port"])
def test_only_a_certificate_of_the_mesh_gets_an_answer(
    broker: Broker, stranger: Path, listener: str
) -> None:
    port = getattr(broker, listener)
    foreign = context_of(broker.tls, None)
    foreign.load_cert_chain(stranger / "operator.crt", stranger / "operator.key")

    assert answers(port, context_of(broker.tls, "operator"))
    assert not answers(port, None)
    assert not answers(port, context_of(broker.tls, None))
    assert not answers(port, foreign)


@pytest.mark.parametrize("role", OF_DATABASES)
def test_the_certificate_of_a_role_of_databases_is_nobody_s_in_kafka(
    broker: Broker, role: str
) -> None:
    assert not answers(broker.port, context_of(broker.tls, role))


def test_a_certificate_that_names_more_than_its_owner_is_refused(broker: Broker) -> None:
    odd = broker.folder / "odd"

    assert answers(broker.port, context_of(broker.tls, "operator"))
    assert not answers(broker.port, context_of(odd, "operator"))


async def test_a_broker_at_a_name_that_its_certificate_does_not_have_is_refused(
    broker: Broker,
) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection(HOST, broker.port)
        await asyncio.gather(_copy(reader, back), _copy(onward, writer))

    server = await asyncio.start_server(forward, "127.0.0.2", 0)
    async with server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        client = broker.client("intent") | {"bootstrap_servers": address}
        refused = await _connect(client)
        connected = await _connect(client | {"ssl_check_hostname": False})

    assert "IP address mismatch, certificate is not valid for '127.0.0.2'" in refused
    assert "connected" in connected  # so the name was all


async def _connect(client: dict[str, Any]) -> str:
    """Return what a process says that connects: a client that fails leaves its sockets open."""
    code = (
        "import kafka, logging; logging.basicConfig();"
        f"kafka.KafkaConsumer(**{client}, bootstrap_timeout_ms=3000).close(); print('connected')"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    writer.close()
