"""Starts intent_svc."""

from __future__ import annotations

import base64

from paymesh.intent.v1 import (
    payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc,
)
from paymesh.intent.v1 import payment_intent_service_pb2_grpc

from chassis import telemetry
from chassis.archived import ArchiveClient
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.consumer import Consumer
from chassis.database import connect
from chassis.heartbeat import heartbeat
from chassis.identity import channel
from chassis.outbox import OutboxKeeper
from chassis.relay import Relay
from chassis.schema import require_schema
from chassis.server import EDGE, Service, only, run, serve
from chassis.slots import slot_watch
from intent_svc.clients import AuthorizationClient
from intent_svc.config import IntentSettings
from intent_svc.consumer import GROUP, TOPICS, AttemptConsumer
from intent_svc.dispatcher import DueDispatcher
from intent_svc.handlers import IntentHandlers
from intent_svc.service import PaymentIntentLifecycleService, PaymentIntentService
from intent_svc.store.archived import ArchivedIntents
from intent_svc.store.due import DueStore
from intent_svc.store.intents import IntentStore

EVENTS = "events.payment_intent"


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(IntentSettings)
    telemetry.configure(settings)
    clock = SystemClock()
    database = await connect(settings)
    await require_schema(database, "intent_svc")
    store, due = IntentStore(database, clock), DueStore(database, clock)
    request_key = base64.b64decode(settings.request_key_file.read_text())
    async with (
        channel(settings, settings.txn_address) as txn_channel,
        channel(settings, settings.audit_address) as audit_channel,
    ):
        authorizations = AuthorizationClient(txn_channel)
        archived = ArchivedIntents(database, ArchiveClient(audit_channel))
        handlers = IntentHandlers(store, due, authorizations, archived, clock, request_key)
        await serve(
            settings,
            services(PaymentIntentService(handlers), PaymentIntentLifecycleService(handlers)),
            [
                heartbeat(database),
                slot_watch(database, settings.service_name),
                DueDispatcher(handlers),
                OutboxKeeper(database),
                Consumer(settings, GROUP, TOPICS, AttemptConsumer(handlers).handle),
                Relay(settings, database, EVENTS),
            ],
        )
    await store.close()
    await due.close()
    await database.close()


def services(
    public: PaymentIntentService, lifecycle: PaymentIntentLifecycleService
) -> list[Service]:
    return [
        Service(
            "paymesh.intent.v1.PaymentIntentService",
            lambda server: (
                payment_intent_service_pb2_grpc.add_PaymentIntentServiceServicer_to_server(
                    public, server
                )
            ),
            only(
                EDGE,
                *("CreatePaymentIntent", "GetPaymentIntent", "ListPaymentIntents"),
                *("CancelPaymentIntent", "CapturePaymentIntent"),
            ),
        ),
        Service(
            "paymesh.intent.v1.PaymentIntentLifecycleService",
            lambda server: lifecycle_grpc.add_PaymentIntentLifecycleServiceServicer_to_server(
                lifecycle, server
            ),
            only(
                "txn",
                *("BatchBeginProcessing", "BatchApplyOutcome", "BatchCheckClientSecrets"),
                "LookUpPaymentIntent",
            )
            | only("txn_retention", "BatchFindPurgedPayments"),
        ),
    ]


if __name__ == "__main__":
    run(main())
