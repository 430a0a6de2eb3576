"""Starts txn_svc."""

from __future__ import annotations

import base64

from paymesh.txn.v1 import transaction_service_pb2_grpc

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.database import connect, migrate
from chassis.identity import channel
from chassis.server import Service, run, serve
from txn_svc.clients import IntentClient
from txn_svc.config import TxnSettings
from txn_svc.handlers import TxnHandlers
from txn_svc.networks.pool import NetworkPool
from txn_svc.service import TransactionService
from txn_svc.store import TxnStore


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(TxnSettings)
    telemetry.configure(settings)
    await migrate(settings, "txn_svc")
    clock = SystemClock()
    database = await connect(settings, connections_max=8)
    store = TxnStore(database, clock)
    pools = {
        name: NetworkPool(
            name,
            addresses,
            timeout_s=settings.network_timeout_s,
            connections=settings.network_connections,
        )
        for name, addresses in settings.networks.items()
    }
    async with channel(settings, settings.intent_address) as intent_channel:
        handlers = TxnHandlers(store, IntentClient(intent_channel), pools, clock)
        request_key = base64.b64decode(settings.request_key_file.read_text())
        service = TransactionService(handlers, request_key)
        await serve(
            settings,
            [
                Service(
                    "paymesh.txn.v1.TransactionService",
                    lambda server: (
                        transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server(
                            service, server
                        )
                    ),
                )
            ],
            [*pools.values(), handlers],
        )
    await store.close()
    await database.close()


if __name__ == "__main__":
    run(main())
