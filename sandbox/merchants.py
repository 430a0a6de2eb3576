"""Takes merchants on, as the platform team would: through the edge's internal service."""

from __future__ import annotations

from typing import Any

from paymesh.merchant.v1 import merchant_service_pb2 as merchant_pb2
from paymesh.merchant.v1 import merchant_service_pb2_grpc as merchant_grpc

from sandbox.client import Keys
from sandbox.operator_access import operator_channel
from sandbox.state import StateDir


async def create_merchant(state: StateDir, status: dict[str, Any], name: str, mode: str) -> Keys:
    """Take a merchant on and return its keys; the secret is shown this once."""
    async with operator_channel(state.tls, status["authz"]) as channel:
        stub: Any = merchant_grpc.MerchantServiceStub(channel)
        made = await stub.CreateMerchant(
            merchant_pb2.CreateMerchantRequest(
                name=name,
                country="us",
                mcc="5999",
                bank_account=merchant_pb2.BankAccountInput(
                    account_holder=name,
                    country="us",
                    currency="usd",
                    account_number="000123456789",
                    routing_number="110000000",
                ),
            ),
            timeout=10,
        )
        key = await stub.CreateApiKey(
            merchant_pb2.CreateApiKeyRequest(merchant_id=made.merchant.id, mode=mode), timeout=10
        )
    return Keys(made.merchant.id, key.api_key.publishable_key, key.secret_key)


async def revoke_key(state: StateDir, status: dict[str, Any], key_id: str) -> None:
    """Revoke an API key. Raises grpc.aio.AioRpcError for one that does not exist."""
    async with operator_channel(state.tls, status["authz"]) as channel:
        stub: Any = merchant_grpc.MerchantServiceStub(channel)
        await stub.RevokeApiKey(merchant_pb2.RevokeApiKeyRequest(api_key_id=key_id), timeout=10)
