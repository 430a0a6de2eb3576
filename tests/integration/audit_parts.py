"""Processes of audit_svc over a broker of the tests' own, and what is in topics and archives."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition
from paymesh.audit.v1 import audit_service_pb2 as audit_pb2
from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from audit_svc.clients import GROUP
from audit_svc.domain.manifest import manifest_name, read_manifest
from audit_svc.domain.record import Place, Record
from audit_svc.domain.topics import TOPICS
from audit_svc.domain.verdict import Verdict
from audit_svc.handlers.verification import verify
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import read_records
from chassis.clock import SystemClock
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import Purpose
from sandbox.operator_access import operator_channel
from sandbox.state import ROOT
from tests.integration.authz_client import free_port
from tests.integration.kafka_parts import Broker
from tests.topics import read_topics

WAIT_S_MAX = 120.0
MASTER_KEY = bytes(32)


@dataclass
class Auditing:
    """An archive of a broker's topics, and who archives there. url: of the archive."""

    broker: Broker
    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        self.keys = FileKeyStore(self.folder / "keys", MASTER_KEY, SystemClock())
        self.keys.create_missing([Purpose.AUDIT_SIGNING])

    @contextmanager
    def process(self) -> Iterator[AuditProcess]:
        """Run a process of audit_svc, which is killed at the end."""
        self._count += 1
        port, tls = free_port(), self.broker.tls
        settings = {
            "SERVICE_NAME": "audit",
            "LISTEN": f"127.0.0.1:{port}",
            "METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "TLS_CERTIFICATE": tls / "audit.crt",
            "TLS_KEY": tls / "audit.key",
            "TLS_CA": tls / "ca.crt",
            "JWKS_FILE": tls / "jwks.json",
            "KAFKA_BOOTSTRAP": self.broker.kafka.bootstrap,
            "ARCHIVE_URL": self.url,
            "FILE_S_MAX": 1,
            "FILE_RECORDS_MAX": 300,
            "DRAIN_S": 1,
            "KEYS_STORE": "file",
            "KEYS_FILE": self.folder / "keys",
            "KEYS_MASTER": base64.b64encode(MASTER_KEY).decode(),
        }
        named = {f"PAYMESH_{name}": str(value) for name, value in settings.items()}
        log = self.folder / f"audit-{self._count}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "audit_svc"],
                cwd=ROOT,
                env={**os.environ, **named, **self.environment},
                stdout=output,
                stderr=output,
            )
        try:
            yield AuditProcess(process, port, tls, log)
        finally:
            process.kill()
            process.wait()

    @property
    def archive(self) -> Archive:
        return Archive(self.url)

    def producer(self, **settings: Any) -> KafkaProducer:
        """Return who writes, as Connect would."""
        return KafkaProducer(**self.broker.operator(), **settings)

    def consumer(self) -> KafkaConsumer:
        """Return a member of the group of those who archive."""
        return KafkaConsumer(**self.broker.operator(), group_id=GROUP, enable_auto_commit=False)

    def in_kafka(self) -> dict[Place, list[Record]]:
        """Return what is committed in all archived topics, in order."""
        return read_topics(self.broker.operator(), TOPICS)

    def archived(self) -> dict[Place, list[Record]]:
        """Return what the chains of manifests hold, in order."""
        keys = {key.kid: key for key in self.keys.verification_keys()}
        found: dict[Place, list[Record]] = defaultdict(list)
        names = self.archive.names("manifests/")
        for place in sorted({_place(name) for name in names}):
            for number in range(1, sum(_place(name) == place for name in names) + 1):
                manifest = read_manifest(
                    self.archive.get(manifest_name(place, number)) or b"", keys
                )
                found[place] += read_records(self.archive.get(manifest.file) or b"")
        return dict(found)

    async def all_archived(self) -> dict[Place, list[Record]]:
        """Wait until as much is archived as is in Kafka, and return it."""
        wanted = sum(len(rows) for rows in (await asyncio.to_thread(self.in_kafka)).values())
        deadline = time.monotonic() + WAIT_S_MAX
        while True:
            found = await asyncio.to_thread(self.archived)
            if sum(len(rows) for rows in found.values()) >= wanted:
                return found
            assert time.monotonic() < deadline, f"{wanted} in Kafka: {found.keys()}"
            await asyncio.sleep(0.3)

    def committed(self) -> dict[Place, int]:
        """Return what Kafka was told."""
        consumer = self.consumer()
        partitions = [
            TopicPartition(topic, number)
            for topic in TOPICS
            for number in consumer.partitions_for_topic(topic)
        ]
        told = {one: consumer.committed(one) for one in partitions}
        consumer.close()
        return {Place(*one): offset for one, offset in told.items() if offset is not None}

    def verdict(self) -> Verdict:
        """Verify everything, also against what Kafka was told."""
        return verify(self.archive, self.keys.verification_keys(), self.committed())


@dataclass
class AuditProcess:
    """A process of audit_svc."""

    process: subprocess.Popen[bytes]
    port: int
    tls: Path
    log: Path

    async def history(self, payment: str) -> audit_pb2.GetPaymentHistoryResponse:
        """Ask for a payment's story."""
        async with operator_channel(self.tls, f"localhost:{self.port}") as channel:
            stub: Any = audit_grpc.AuditServiceStub(channel)
            request = audit_pb2.GetPaymentHistoryRequest(payment_intent_id=payment)
            answer: audit_pb2.GetPaymentHistoryResponse = await stub.GetPaymentHistory(
                request, timeout=60, wait_for_ready=True
            )
            return answer

    async def refusal(self, payment: str) -> grpc.StatusCode:
        """Ask for a story that can't be told, and return why."""
        try:
            await self.history(payment)
        except grpc.aio.AioRpcError as refused:
            return refused.code()
        return grpc.StatusCode.OK


def _place(name: str) -> Place:
    _, topic, partition, _ = name.split("/")
    return Place(topic, int(partition))
