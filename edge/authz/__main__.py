"""Starts edge/authz."""

from __future__ import annotations

from typing import cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paymesh.merchant.v1 import merchant_service_pb2_grpc

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.database import connect, migrate
from chassis.identity import TokenMinter
from chassis.sealing import Sealer
from chassis.server import Service, run, serve
from edge.authz.app import AuthzApp
from edge.authz.config import AuthzSettings
from edge.authz.handlers import MerchantHandlers
from edge.authz.http_server import HttpServer
from edge.authz.keys import KeyCache
from edge.authz.service import MerchantService
from edge.authz.store import AuthzStore


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(AuthzSettings)
    telemetry.configure(settings)
    await migrate(settings, "edge.authz")
    clock = SystemClock()
    database = await connect(settings)
    store = AuthzStore(database, Sealer(settings.master_key_file), clock)
    key = cast(
        "Ed25519PrivateKey",
        serialization.load_pem_private_key(settings.jwt_key_file.read_bytes(), password=None),
    )
    app = AuthzApp(store, KeyCache(store), TokenMinter(key, settings.jwt_key_id), clock)
    merchants = MerchantService(MerchantHandlers(store, clock))
    await serve(
        settings,
        [
            Service(
                "paymesh.merchant.v1.MerchantService",
                lambda server: merchant_service_pb2_grpc.add_MerchantServiceServicer_to_server(
                    merchants, server
                ),
                callers=frozenset({"operator"}),
            )
        ],
        [HttpServer(settings, app, store)],
    )
    await store.close()
    await database.close()


if __name__ == "__main__":
    run(main())
