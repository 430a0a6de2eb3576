"""Who may call each RPC: every service's certificate, none and a foreign one, at every server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2

from audit_svc import __main__ as audit_main
from audit_svc.service import AuditService
from chassis.clock import SystemClock
from chassis.identity import server_credentials
from chassis.server import EDGE, Service, build_server
from edge.authz import __main__ as authz_main
from edge.authz.service.domains import PaymentDomainService
from edge.authz.service.merchants import MerchantService
from intent_svc import __main__ as intent_main
from intent_svc.service import PaymentIntentLifecycleService, PaymentIntentService
from recon_svc import __main__ as recon_main
from recon_svc.service import ReconciliationService
from sandbox.platform.certificates import NAMES, issue
from sandbox.state import ROOT
from tests.integration.settings import settings_of
from txn_svc import __main__ as txn_main
from txn_svc.service.attempts import AttemptService
from txn_svc.service.authorizations import AuthorizationService
from txn_svc.service.card_keys import CardKeyService
from txn_svc.service.card_tokens import CardTokenService
from txn_svc.service.transactions import TransactionService
from webhook_svc import __main__ as webhook_main
from webhook_svc.service import EventService, WebhookEndpointService

pytestmark = pytest.mark.integration

NOBODY = "nobody"
FOREIGN = "foreign"
CALLERS = {
    "paymesh.audit.v1.AuditService/GetPaymentHistory": "operator",
    "paymesh.audit.v1.AuditService/ListPaymentRows": "intent txn intent_retention txn_retention",
    "paymesh.audit.v1.AuditService/VerifyArchive": "operator intent_retention txn_retention",
    "paymesh.intent.v1.PaymentIntentLifecycleService/BatchApplyOutcome": "txn",
    "paymesh.intent.v1.PaymentIntentLifecycleService/BatchBeginProcessing": "txn",
    "paymesh.intent.v1.PaymentIntentLifecycleService/BatchCheckClientSecrets": "txn",
    "paymesh.intent.v1.PaymentIntentLifecycleService/BatchFindPurgedPayments": "txn_retention",
    "paymesh.intent.v1.PaymentIntentLifecycleService/LookUpPaymentIntent": "txn",
    "paymesh.intent.v1.PaymentIntentService/CancelPaymentIntent": EDGE,
    "paymesh.intent.v1.PaymentIntentService/CapturePaymentIntent": EDGE,
    "paymesh.intent.v1.PaymentIntentService/CreatePaymentIntent": EDGE,
    "paymesh.intent.v1.PaymentIntentService/GetPaymentIntent": EDGE,
    "paymesh.intent.v1.PaymentIntentService/ListPaymentIntents": EDGE,
    "paymesh.merchant.v1.MerchantService/CreateApiKey": "operator",
    "paymesh.merchant.v1.MerchantService/CreateMerchant": "operator",
    "paymesh.merchant.v1.MerchantService/GetMerchant": "operator",
    "paymesh.merchant.v1.MerchantService/ListApiKeyChanges": "operator",
    "paymesh.merchant.v1.MerchantService/ListApiKeys": "operator",
    "paymesh.merchant.v1.MerchantService/RestrictApiKey": "operator",
    "paymesh.merchant.v1.MerchantService/RevokeApiKey": "operator",
    "paymesh.merchant.v1.MerchantService/RollApiKey": "operator",
    "paymesh.merchant.v1.PaymentDomainService/AddPaymentDomain": "operator",
    "paymesh.merchant.v1.PaymentDomainService/ListPaymentDomains": "operator",
    "paymesh.merchant.v1.PaymentDomainService/RemovePaymentDomain": "operator",
    "paymesh.recon.v1.ReconciliationService/AssignBreak": "operator",
    "paymesh.recon.v1.ReconciliationService/GetDailyReport": "operator",
    "paymesh.recon.v1.ReconciliationService/ImportClearingFiles": "operator",
    "paymesh.recon.v1.ReconciliationService/ListBreaks": "operator",
    "paymesh.recon.v1.ReconciliationService/ResolveBreak": "operator",
    "paymesh.txn.v1.AttemptService/CountAttempts": "recon",
    "paymesh.txn.v1.AttemptService/InquireAttempt": "recon",
    "paymesh.txn.v1.AttemptService/ResolveAttempt": "recon",
    "paymesh.txn.v1.AttemptService/ReverseAttempt": "recon",
    "paymesh.txn.v1.AuthorizationService/CaptureAuthorization": "intent",
    "paymesh.txn.v1.AuthorizationService/VoidAuthorization": "intent",
    "paymesh.txn.v1.CardKeyService/CountCardKeyRows": "operator",
    "paymesh.txn.v1.CardKeyService/RetireCardKey": "operator",
    "paymesh.txn.v1.CardTokenService/CreateCardToken": EDGE,
    "paymesh.txn.v1.CardTokenService/GetCardEncryptionKeys": EDGE,
    "paymesh.txn.v1.TransactionService/CreateTransaction": EDGE,
    "paymesh.txn.v1.TransactionService/GetTransaction": EDGE,
    "paymesh.txn.v1.TransactionService/ListTransactions": EDGE,
    "paymesh.webhook.v1.EventService/GetEvent": EDGE,
    "paymesh.webhook.v1.EventService/ListEvents": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/CreateWebhookEndpoint": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/DeleteWebhookEndpoint": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/GetWebhookEndpoint": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/ListWebhookDeliveries": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/ListWebhookEndpoints": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/ReplayWebhookDeliveries": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/RotateWebhookEndpointSecret": EDGE,
    "paymesh.webhook.v1.WebhookEndpointService/UpdateWebhookEndpoint": EDGE,
}


class Handlers:
    """Stands where every use case and store is, and notes whether anybody came so far."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.reached.append(name)
        raise LookupError(name)


def _registered(handlers: Any) -> dict[str, list[Service]]:
    """Return what each process serves, wired to handlers that do nothing."""
    clock = SystemClock()
    return {
        "authz": authz_main.services(
            MerchantService(handlers, clock), PaymentDomainService(handlers)
        ),
        "intent": intent_main.services(
            PaymentIntentService(handlers), PaymentIntentLifecycleService(handlers)
        ),
        "txn": txn_main.services(
            TransactionService(handlers, b"k" * 32),
            CardTokenService(handlers),
            AttemptService(handlers),
            AuthorizationService(handlers),
            CardKeyService(handlers),
        ),
        "recon": recon_main.services(ReconciliationService(handlers, handlers, clock)),
        "webhook": webhook_main.services(
            WebhookEndpointService(handlers), EventService(handlers, clock)
        ),
        "audit": audit_main.services(AuditService(handlers, handlers, handlers)),
    }


def _rpcs() -> set[str]:
    """Return every RPC of the contracts, "package.Service/Method"."""
    described = descriptor_pb2.FileDescriptorSet.FromString(
        (ROOT / "gen" / "api.binpb").read_bytes()
    )
    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in described.file
        for service in file.service
        for method in service.method
    }


@asynccontextmanager
async def _addresses(tls: Path, handlers: Handlers) -> AsyncIterator[dict[str, str]]:
    """Run every server; give the address that serves each gRPC service."""
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for name, services in _registered(handlers).items():
            settings = settings_of(name, tls)
            server, _ = build_server(settings, services)
            port = server.add_secure_port(settings.listen, server_credentials(settings))
            await server.start()
            stack.push_async_callback(server.stop, None)
            addresses |= {service.name: f"localhost:{port}" for service in services}
        yield addresses


def _credentials(tls: Path, foreign: Path, caller: str) -> grpc.ChannelCredentials:
    ca = (tls / "ca.crt").read_bytes()
    if caller == NOBODY:
        return grpc.ssl_channel_credentials(ca)
    folder, name = (foreign, "recon") if caller == FOREIGN else (tls, caller)
    return grpc.ssl_channel_credentials(
        ca, (folder / f"{name}.key").read_bytes(), (folder / f"{name}.crt").read_bytes()
    )


async def _status(channel: grpc.aio.Channel, rpc: str) -> grpc.StatusCode:
    """Call with an empty request and return the status."""
    method: Any = channel.unary_unary(f"/{rpc}")
    try:
        await method(b"", timeout=20)
    except grpc.aio.AioRpcError as refused:
        return refused.code()
    return grpc.StatusCode.OK


def test_every_rpc_has_a_row() -> None:
    assert _rpcs() == set(CALLERS)


@pytest.mark.parametrize("caller", [*NAMES, NOBODY, FOREIGN])
async def test_nobody_but_its_caller_reaches_an_rpc(tls: Path, tmp_path: Path, caller: str) -> None:
    issue(tmp_path)
    handlers = Handlers()
    credentials = _credentials(tls, tmp_path, caller)
    answers = {}
    async with _addresses(tls, handlers) as addresses:
        for rpc, allowed in CALLERS.items():
            if caller not in allowed.split():
                address = addresses[rpc.partition("/")[0]]
                async with grpc.aio.secure_channel(address, credentials) as channel:
                    answers[rpc] = await _status(channel, rpc)

    is_stranger = caller in (NOBODY, FOREIGN)
    refusal = grpc.StatusCode.UNAVAILABLE if is_stranger else grpc.StatusCode.PERMISSION_DENIED
    assert {rpc: status for rpc, status in answers.items() if status is not refusal} == {}
    assert handlers.reached == []


async def test_its_caller_reaches_each_rpc_and_the_edge_needs_a_merchant_s_token(
    tls: Path, tmp_path: Path
) -> None:
    handlers = Handlers()
    async with _addresses(tls, handlers) as addresses:
        rows = [(rpc, each) for rpc, callers in CALLERS.items() for each in callers.split()]
        for rpc, allowed in rows:
            address = addresses[rpc.partition("/")[0]]
            credentials = _credentials(tls, tmp_path, allowed)
            async with grpc.aio.secure_channel(address, credentials) as channel:
                status = await _status(channel, rpc)
            is_unauthenticated = status is grpc.StatusCode.UNAUTHENTICATED
            assert is_unauthenticated == (allowed == EDGE), (rpc, status)
            assert status is not grpc.StatusCode.PERMISSION_DENIED, rpc


async def test_a_method_that_is_not_named_is_for_nobody(tls: Path) -> None:
    settings = settings_of("txn", tls)
    [registered] = recon_main.services(ReconciliationService(*_nothing(), SystemClock()))
    server, _ = build_server(settings, [Service(registered.name, registered.add, callers={})])
    port = server.add_secure_port(settings.listen, server_credentials(settings))
    await server.start()
    credentials = _credentials(tls, tls, "operator")
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        status = await _status(channel, f"{registered.name}/ListBreaks")
    await server.stop(None)

    assert status is grpc.StatusCode.PERMISSION_DENIED


def _nothing() -> tuple[Any, Any]:
    return Handlers(), Handlers()
