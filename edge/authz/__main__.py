"""Starts edge/authz."""

from __future__ import annotations

from typing import cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paymesh.merchant.v1 import merchant_service_pb2_grpc
from paymesh.merchant.v1.payment_domain_service_pb2_grpc import (
    add_PaymentDomainServiceServicer_to_server,
)

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.database import connect
from chassis.heartbeat import heartbeat
from chassis.identity import TokenMinter
from chassis.schema import require_schema
from chassis.sealing import Sealer
from chassis.server import Service, only, run, serve
from chassis.slots import slot_watch
from edge.authz.app import AuthzApp
from edge.authz.config import AuthzSettings
from edge.authz.domains import DomainHandlers
from edge.authz.frame import FrameApp
from edge.authz.handlers import MerchantHandlers
from edge.authz.housekeeping import Housekeeping
from edge.authz.keys import KeyCache, LastUses
from edge.authz.service.domains import PaymentDomainService
from edge.authz.service.merchants import MerchantService
from edge.authz.store.checks import CheckStore
from edge.authz.store.keys import ApiKeyStore
from edge.authz.store.merchants import MerchantStore
from edge.http_server import HttpServer


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(AuthzSettings)
    telemetry.configure(settings)
    clock = SystemClock()
    database = await connect(settings)
    await require_schema(database, "edge.authz")
    sealer = Sealer.from_file(settings.master_key_file)
    checks = CheckStore(database, sealer, clock)
    key = cast(
        "Ed25519PrivateKey",
        serialization.load_pem_private_key(settings.jwt_key_file.read_bytes(), password=None),
    )
    last_uses = LastUses(checks.write_last_uses)
    minter = TokenMinter(key, clock)
    domains = DomainHandlers(database, clock)
    keys = KeyCache(checks.keys.submit)
    app = FrameApp(AuthzApp(checks, keys, last_uses, minter, clock), keys, domains, clock)
    handlers = MerchantHandlers(
        MerchantStore(database, sealer), ApiKeyStore(database, sealer), clock
    )
    merchants = MerchantService(handlers, clock)
    domain_service = PaymentDomainService(domains)
    await serve(
        settings,
        services(merchants, domain_service),
        [
            heartbeat(database),
            slot_watch(database, settings.service_name),
            HttpServer(settings, settings.http_listen, app),
            Housekeeping(checks, last_uses),
        ],
    )
    await checks.close()
    await database.close()


def services(merchants: MerchantService, domains: PaymentDomainService) -> list[Service]:
    return [
        Service(
            "paymesh.merchant.v1.MerchantService",
            lambda server: merchant_service_pb2_grpc.add_MerchantServiceServicer_to_server(
                merchants, server
            ),
            only(
                "operator",
                *("CreateMerchant", "GetMerchant", "CreateApiKey", "ListApiKeys", "RollApiKey"),
                *("RevokeApiKey", "RestrictApiKey", "ListApiKeyChanges"),
            ),
        ),
        Service(
            "paymesh.merchant.v1.PaymentDomainService",
            lambda server: add_PaymentDomainServiceServicer_to_server(domains, server),
            only("operator", "AddPaymentDomain", "ListPaymentDomains", "RemovePaymentDomain"),
        ),
    ]


if __name__ == "__main__":
    run(main())
