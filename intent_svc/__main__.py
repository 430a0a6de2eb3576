"""Starts intent_svc."""

from __future__ import annotations

import base64

from paymesh.intent.v1 import (
    payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc,
)
from paymesh.intent.v1 import payment_intent_service_pb2_grpc

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.consumer import Consumer
from chassis.database import connect, migrate
from chassis.identity import channel
from chassis.server import Service, run, serve
from intent_svc.clients import AuthorizationClient
from intent_svc.config import IntentSettings
from intent_svc.consumer import GROUP, TOPICS, AttemptConsumer
from intent_svc.dispatcher import DueDispatcher
from intent_svc.handlers import IntentHandlers
from intent_svc.service import PaymentIntentLifecycleService, PaymentIntentService
from intent_svc.store.due import DueStore
from intent_svc.store.intents import IntentStore


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(IntentSettings)
    telemetry.configure(settings)
    await migrate(settings, "intent_svc")
    clock = SystemClock()
    database = await connect(settings)
    store, due = IntentStore(database, clock), DueStore(database, clock)
    request_key = base64.b64decode(settings.request_key_file.read_text())
    async with channel(settings, settings.txn_address) as txn_channel:
        authorizations = AuthorizationClient(txn_channel)
        handlers = IntentHandlers(store, due, authorizations, clock, request_key)
        await serve(
            settings,
            _services(PaymentIntentService(handlers), PaymentIntentLifecycleService(handlers)),
            [
                DueDispatcher(handlers),
                Consumer(settings, GROUP, TOPICS, AttemptConsumer(handlers).handle),
            ],
        )
    await store.close()
    await due.close()
    await database.close()


def _services(
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
        ),
        Service(
            "paymesh.intent.v1.PaymentIntentLifecycleService",
            lambda server: lifecycle_grpc.add_PaymentIntentLifecycleServiceServicer_to_server(
                lifecycle, server
            ),
            callers=frozenset({"txn"}),
        ),
    ]


if __name__ == "__main__":
    run(main())
