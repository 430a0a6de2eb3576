"""Starts audit_svc."""

from __future__ import annotations

from functools import partial
from typing import Any

from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from audit_svc.clients import KafkaReader, kafka_access
from audit_svc.config import AuditSettings
from audit_svc.consumer import ArchiveConsumer
from audit_svc.handlers.archiving import Archiving
from audit_svc.heartbeats import HeartbeatWatch
from audit_svc.service import PURGERS, READERS, AuditService
from audit_svc.store.archive import Archive
from chassis import telemetry
from chassis.clock import Clock, SystemClock
from chassis.config import read_settings
from chassis.keystore.config import open_key_store, require_keys
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import Purpose
from chassis.keystore.store import KeyStore
from chassis.server import Service, only, run, serve


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(AuditSettings)
    telemetry.configure(settings)
    clock = SystemClock()
    keys = _open_keys(clock)
    archive = Archive(settings.archive_url)
    service = AuditService(archive, KafkaReader(kafka_access(settings)), keys)
    consumer = ArchiveConsumer(settings, Archiving(archive, keys, clock))
    await serve(settings, services(service), [consumer, HeartbeatWatch(settings, clock)])
    keys.close()


def _open_keys(clock: Clock) -> KeyStore[Any]:
    """Open the key store. The first key of an HSM is made by hand: see docs/security.md."""
    keys = open_key_store(clock)
    if isinstance(keys, FileKeyStore):
        keys.create_missing([Purpose.AUDIT_SIGNING])
    require_keys(keys, [Purpose.AUDIT_SIGNING])
    return keys


def services(audit: AuditService) -> list[Service]:
    return [
        Service(
            "paymesh.audit.v1.AuditService",
            partial(audit_grpc.add_AuditServiceServicer_to_server, audit),
            only("operator", "GetPaymentHistory")
            | {
                "ListPaymentRows": frozenset(READERS),
                "VerifyArchive": frozenset({"operator", *PURGERS}),
            },
        )
    ]


if __name__ == "__main__":
    run(main())
