"""gRPC in: payments' stories and the proof of the archive, for the platform team's tools."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from paymesh.audit.v1 import audit_service_pb2 as audit_pb2
from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from audit_svc.clients import KafkaReader
from audit_svc.domain.topics import TOPICS
from audit_svc.handlers.history import history
from audit_svc.handlers.rows import Stretch, payment_rows
from audit_svc.handlers.verification import verify
from audit_svc.messages import history_message, rows_message, verdict_message
from audit_svc.store.archive import Archive
from chassis.errors import Overloaded
from chassis.identity import peer_names
from chassis.keystore.store import KeyStore

# Who reads rows, and of which service's database.
READERS = {
    "intent": "intent",
    "intent_retention": "intent",
    "txn": "txn",
    "txn_retention": "txn",
}
PURGERS = ("intent_retention", "txn_retention")
LOOKING_MAX = 4  # each reads files and asks Kafka
WAITING_MAX = 16

Context = grpc.aio.ServicerContext[Any, Any]


class AuditService(audit_grpc.AuditServiceServicer):
    """The audit trail. Whatever it does takes a while, so it does it in threads."""

    def __init__(self, archive: Archive, kafka: KafkaReader, keys: KeyStore[Any]) -> None:
        self._archive = archive
        self._kafka = kafka
        self._keys = keys
        self._looking = asyncio.Semaphore(LOOKING_MAX)
        self._asked = 0

    async def GetPaymentHistory(
        self, request: audit_pb2.GetPaymentHistoryRequest, context: Context
    ) -> audit_pb2.GetPaymentHistoryResponse:
        """Tell a payment's story."""
        story = await asyncio.to_thread(
            history, self._archive, self._kafka, request.payment_intent_id
        )
        return history_message(story)

    async def ListPaymentRows(
        self, request: audit_pb2.ListPaymentRowsRequest, context: Context
    ) -> audit_pb2.ListPaymentRowsResponse:
        """Return rows that a service may not have any more; more than a few at once wait."""
        [service] = {READERS[name] for name in peer_names(context) if name in READERS}
        if self._asked >= LOOKING_MAX + WAITING_MAX:
            raise Overloaded
        self._asked += 1
        try:
            async with self._looking:
                keys = await asyncio.to_thread(self._keys.verification_keys)
                rows = await asyncio.to_thread(
                    payment_rows,
                    self._archive,
                    self._kafka,
                    keys,
                    service,
                    request.payment_intent_ids,
                    Stretch(request.since_ms, request.until_ms),
                )
        finally:
            self._asked -= 1
        return rows_message(rows)

    async def VerifyArchive(
        self, request: audit_pb2.VerifyArchiveRequest, context: Context
    ) -> audit_pb2.VerifyArchiveResponse:
        """Verify the whole archive."""
        committed = await asyncio.to_thread(self._kafka.committed, TOPICS)
        keys = await asyncio.to_thread(self._keys.verification_keys)
        verdict = await asyncio.to_thread(verify, self._archive, keys, committed)
        return verdict_message(verdict)
