"""What a browser may reach of txn_svc: its own service, with a token of the edge for browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paymesh.txn.v1 import card_token_service_pb2 as token_pb2
from paymesh.txn.v1 import card_token_service_pb2_grpc as token_grpc
from paymesh.txn.v1 import transaction_service_pb2, transaction_service_pb2_grpc

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.identity import BROWSERS, SERVERS, Caller, TokenMinter, server_credentials
from chassis.server import build_server
from tests.integration.card_token_parts import Browsing, browsing
from tests.integration.resolution_parts import Networks
from tests.integration.settings import settings_of
from tests.integration.txn_parts import NETWORK, a_client_secret
from txn_svc.__main__ import services
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.handlers.card_keys import CardKeyHandlers
from txn_svc.service.attempts import AttemptService
from txn_svc.service.authorizations import AuthorizationService
from txn_svc.service.card_keys import CardKeyService
from txn_svc.service.card_tokens import CardTokenService
from txn_svc.service.transactions import TransactionService
from txn_svc.store.captures import CaptureStore

pytestmark = pytest.mark.integration


@pytest.fixture
async def cards(
    txn_databases: list[Database], networks: Networks, tmp_path: Path, caller: Caller
) -> AsyncIterator[Browsing]:
    simulator, pool = networks.simulators[NETWORK], networks.pools[NETWORK]
    async with browsing(txn_databases, simulator, pool, tmp_path / "keys", caller) as processes:
        yield processes


@pytest.fixture
async def channel(cards: Browsing, tls: Path) -> AsyncIterator[grpc.aio.Channel]:
    """Serve what txn_svc serves, and call it as the edge."""
    settings = settings_of("txn", tls)
    records = CaptureStore(cards.database, cards.process.clock)
    captures = CaptureHandlers(
        cards.process.store, records, cards.resolver, {}, cards.process.clock
    )
    parts = services(
        TransactionService(cards.charges, b"k" * 32),
        CardTokenService(cards.tokens),
        AttemptService(cards.resolver),
        AuthorizationService(captures),
        CardKeyService(CardKeyHandlers(cards.process.envelopes, cards.process.card_keys)),
    )
    server, _ = build_server(settings, parts)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(settings))
    await server.start()
    credentials = grpc.ssl_channel_credentials(
        *((tls / name).read_bytes() for name in ("ca.crt", "edge.key", "edge.crt"))
    )
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as opened:
        yield opened
    await server.stop(None)


def _identity(tls: Path, caller: Caller, audience: str) -> tuple[tuple[str, str], ...]:
    key = serialization.load_pem_private_key((tls / "jwt.key").read_bytes(), password=None)
    minter = TokenMinter(cast("Ed25519PrivateKey", key), SystemClock())
    token = minter.mint(caller.merchant_id, caller.mode, audience)
    return (("authorization", f"Bearer {token}"),)


async def test_a_browser_gets_keys_and_a_token(
    cards: Browsing, channel: grpc.aio.Channel, tls: Path
) -> None:
    stub: Any = token_grpc.CardTokenServiceStub(channel)
    metadata = _identity(tls, cards.caller, BROWSERS)
    intent_id = cards.intent_id()
    request = token_pb2.CreateCardTokenRequest(
        payment_intent_id=intent_id,
        client_secret=a_client_secret(intent_id),
        encrypted_card=(await cards.wish(intent_id)).encrypted_card,
    )

    asked = stub.GetCardEncryptionKeys(
        token_pb2.GetCardEncryptionKeysRequest(), metadata=metadata, timeout=5
    )
    found, headers = await asked, dict(await asked.initial_metadata())
    token = await stub.CreateCardToken(request, metadata=metadata, timeout=5)

    [public] = await cards.tokens.public_keys()
    assert [key.kid for key in found.keys] == [public.kid]
    assert headers["cache-control"] == "public, max-age=300"
    assert await cards.rows(token.id) == [token.id]


async def test_a_browser_s_identity_opens_no_service_of_merchants_and_the_other_way_round(
    cards: Browsing, channel: grpc.aio.Channel, tls: Path
) -> None:
    tokens: Any = token_grpc.CardTokenServiceStub(channel)
    transactions: Any = transaction_service_pb2_grpc.TransactionServiceStub(channel)
    wrong = [
        transactions.CreateTransaction(
            transaction_service_pb2.CreateTransactionRequest(),
            metadata=_identity(tls, cards.caller, BROWSERS),
            timeout=5,
        ),
        tokens.GetCardEncryptionKeys(
            token_pb2.GetCardEncryptionKeysRequest(),
            metadata=_identity(tls, cards.caller, SERVERS),
            timeout=5,
        ),
    ]

    for call in wrong:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
