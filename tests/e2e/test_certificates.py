"""Certificates of 20 seconds and keys that are replaced, under a load that must not notice."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2, health_pb2_grpc
from paymesh.intent.v1 import payment_intent_service_pb2, payment_intent_service_pb2_grpc

from chassis.certificates import CertificateFiles, Pem, channel_credentials
from chassis.clock import SystemClock
from chassis.identity import SERVERS, TokenMinter, key_id
from sandbox.platform.authority import pem, write_secret
from sandbox.platform.certificates import publish_signing_keys
from sandbox.state import StateDir
from tests.e2e.conftest import Mesh
from tests.e2e.merchant import APPROVED, APPROVED_MASTERCARD, Keys, Merchant, session

pytestmark = pytest.mark.e2e

LIFETIME = timedelta(seconds=20)
RENEWALS = 4
PROCESSES = (
    "authz",
    "web",
    "intent_svc",
    "txn_svc",
    "recon_svc",
    "webhook_svc",
    "audit_svc",
    "envoy",
)


@pytest.fixture(scope="module")
def short_lived() -> Iterator[Mesh]:
    """Start a sandbox whose certificates live for 20 seconds."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-certificates-"))
    folder.chmod(0o755)
    mesh = Mesh(folder)
    try:
        mesh.run("up", "--certificate-lifetime", str(int(LIFETIME.total_seconds())))
        yield mesh
    finally:
        mesh.run("down")
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _merchant(mesh: Mesh, keys: Keys) -> AsyncIterator[Merchant]:
    """Lend a merchant with connections of its own."""
    status = mesh.status()
    async with session(Path(status["ca_file"])) as http:
        yield Merchant(http, status["edge_url"], keys)


async def _pay(merchant: Merchant, number: str = APPROVED) -> tuple[int, str]:
    """Create and charge; return the status code and what the transaction's status is."""
    created = await merchant.call(
        "POST", "/payment-intents", {"amountInCents": 1099, "currency": "usd"}
    )
    if created.status != 200:
        return created.status, created.content.decode()
    charged = await merchant.charge(created.json["id"], number)
    return charged.status, charged.json.get("status", charged.content.decode())


PAID = (200, "succeeded")


async def _until_paid(mesh: Mesh, keys: Keys, number: str) -> None:
    """Wait until a payment over new connections succeeds."""
    for _ in range(100):
        async with _merchant(mesh, keys) as merchant:
            found = await _pay(merchant, number)
        if found == PAID:
            return
        await asyncio.sleep(0.3)
    pytest.fail(f"no payment succeeds: {found}")


def _certificate(mesh: Mesh, name: str) -> Pem:
    tls = StateDir(mesh.state_dir).tls
    return CertificateFiles(tls / f"{name}.crt", tls / f"{name}.key", tls / "ca.crt").read()[1]


async def _is_served(mesh: Mesh, shown: Pem) -> bool:
    """Ask a service how it is over a new connection with a certificate."""
    async with grpc.aio.secure_channel(
        mesh.status()["authz"], channel_credentials(shown)
    ) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=10)
        except grpc.aio.AioRpcError as refused:
            if refused.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True


async def test_no_request_fails_while_every_certificate_is_renewed_and_expires(
    short_lived: Mesh,
) -> None:
    mesh, keys = short_lived, short_lived.new_keys()
    first, began_at = _certificate(mesh, "operator"), datetime.now(UTC)
    restarts = {name: mesh.process(name)["restarts"] for name in PROCESSES}
    renewals = mesh.status()["renewals"]
    assert await _is_served(mesh, first)

    answers: list[tuple[int, str]] = []
    async with _merchant(mesh, keys) as kept:
        while mesh.status()["renewals"] < renewals + RENEWALS:
            number = (APPROVED, APPROVED_MASTERCARD)[len(answers) % 2]
            async with _merchant(mesh, keys) as fresh:
                answers += await asyncio.gather(
                    *(_pay(each, number) for each in (kept, kept, fresh))
                )

    assert datetime.now(UTC) > began_at + LIFETIME
    assert len(answers) > 50
    assert [answer for answer in answers if answer != PAID] == []
    assert {name: mesh.process(name)["restarts"] for name in PROCESSES} == restarts
    assert not await _is_served(mesh, first), "an expired certificate was let in"
    assert await _is_served(mesh, _certificate(mesh, "operator"))


async def test_connections_that_are_made_after_the_first_certificates_expired_work(
    short_lived: Mesh,
) -> None:
    mesh, keys = short_lived, short_lived.new_keys()
    mesh.run("renew-certificates")
    mesh.run("renew-certificates")
    await asyncio.sleep(LIFETIME.total_seconds())  # what ran from the start knows older ones

    ended = mesh.metric("txn_svc", "paymesh_network_connections_ended_total")
    await mesh.killed("visa_sim", "mastercard_sim", "intent_svc", "authz")

    for number in (APPROVED, APPROVED_MASTERCARD):
        await _until_paid(mesh, keys, number)
    assert mesh.metric("txn_svc", "paymesh_network_connections_ended_total") >= ended + 4
    await mesh.killed("txn_svc", "envoy")
    await _until_paid(mesh, keys, APPROVED)


async def test_the_edge_s_signing_key_is_replaced_without_a_refused_request(
    short_lived: Mesh,
) -> None:
    mesh, keys, tls = short_lived, short_lived.new_keys(), StateDir(short_lived.state_dir).tls
    old = serialization.load_pem_private_key((tls / "jwt.key").read_bytes(), password=None)
    assert isinstance(old, Ed25519PrivateKey)
    new = Ed25519PrivateKey.generate()
    await _until_paid(mesh, keys, APPROVED)

    publish_signing_keys(tls, [old, new])
    write_secret(tls / "jwt.key", pem(new))
    await mesh.killed("authz")
    await _until_paid(mesh, keys, APPROVED)
    with_old = await _read_with(mesh, old, keys)
    publish_signing_keys(tls, [new])
    await asyncio.sleep(1.5)
    retired = await _read_with(mesh, old, keys)
    current = await _read_with(mesh, new, keys)
    await _until_paid(mesh, keys, APPROVED)

    assert key_id(old) != key_id(new)
    assert with_old is grpc.StatusCode.NOT_FOUND
    assert retired is grpc.StatusCode.UNAUTHENTICATED
    assert current is grpc.StatusCode.NOT_FOUND


async def _read_with(mesh: Mesh, key: Ed25519PrivateKey, keys: Keys) -> grpc.StatusCode:
    """Ask intent_svc, as an edge with this signing key does, for an intent that is not there."""
    token = TokenMinter(key, SystemClock()).mint(keys.merchant_id, "test", SERVERS)
    port = json.loads((mesh.state_dir / "ports.json").read_text())["intent"]
    credentials = channel_credentials(_certificate(mesh, "edge"))
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stub: Any = payment_intent_service_pb2_grpc.PaymentIntentServiceStub(channel)
        request = payment_intent_service_pb2.GetPaymentIntentRequest(payment_intent_id="pi_1")
        identity = (("authorization", f"Bearer {token}"),)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetPaymentIntent(request, metadata=identity, timeout=10)
    return refused.value.code()
