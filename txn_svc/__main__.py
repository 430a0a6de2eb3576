"""Starts txn_svc."""

from __future__ import annotations

import base64

from paymesh.txn.v1 import (
    attempt_service_pb2_grpc,
    authorization_service_pb2_grpc,
    transaction_service_pb2_grpc,
)

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.database import connect, migrate
from chassis.identity import channel
from chassis.networks import read_network_rules
from chassis.server import Service, run, serve
from txn_svc.clients import IntentClient
from txn_svc.config import TxnSettings
from txn_svc.dispatcher import AdviceDispatcher
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.handlers.charges import ChargeHandlers
from txn_svc.networks.pool import NetworkPool
from txn_svc.service.attempts import AttemptService
from txn_svc.service.authorizations import AuthorizationService
from txn_svc.service.transactions import TransactionService
from txn_svc.store.attempts import AttemptStore
from txn_svc.store.captures import CaptureStore
from txn_svc.store.charges import ChargeStore


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(TxnSettings)
    telemetry.configure(settings)
    await migrate(settings, "txn_svc")
    clock = SystemClock()
    database = await connect(settings, connections_max=8)
    charges, attempts = ChargeStore(database, clock), AttemptStore(database, clock)
    captures = CaptureStore(database, clock)
    rules = read_network_rules(settings.networks_file)
    async with channel(settings, settings.intent_address) as intent_channel:
        intents = IntentClient(intent_channel)
        pools: dict[str, NetworkPool] = {}
        resolver = AttemptHandlers(charges, attempts, intents, pools, clock)
        for name, addresses in settings.networks.items():
            pools[name] = NetworkPool(
                name, addresses, rules[name], connections=settings.network_connections
            )
            pools[name].on_stray = resolver.take_stray
        handlers = ChargeHandlers(charges, resolver, intents, pools, clock)
        holds = CaptureHandlers(charges, captures, resolver, pools, clock)
        await serve(
            settings,
            services(
                TransactionService(
                    handlers, base64.b64decode(settings.request_key_file.read_text())
                ),
                AttemptService(resolver),
                AuthorizationService(holds),
            ),
            [*pools.values(), AdviceDispatcher(resolver, holds), handlers],
        )
    await captures.close()
    await charges.close()
    await database.close()


def services(
    transactions: TransactionService,
    attempts: AttemptService,
    authorizations: AuthorizationService,
) -> list[Service]:
    return [
        Service(
            "paymesh.txn.v1.TransactionService",
            lambda server: transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server(
                transactions, server
            ),
        ),
        Service(
            "paymesh.txn.v1.AttemptService",
            lambda server: attempt_service_pb2_grpc.add_AttemptServiceServicer_to_server(
                attempts, server
            ),
            callers=frozenset({"recon"}),
        ),
        Service(
            "paymesh.txn.v1.AuthorizationService",
            lambda server: (
                authorization_service_pb2_grpc.add_AuthorizationServiceServicer_to_server(
                    authorizations, server
                )
            ),
            callers=frozenset({"intent"}),
        ),
    ]


if __name__ == "__main__":
    run(main())
