"""Takes merchants on and manages their API keys, as the platform team would."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from paymesh.merchant.v1 import merchant_service_pb2 as merchant_pb2
from paymesh.merchant.v1 import merchant_service_pb2_grpc as merchant_grpc

from sandbox.client import Keys
from sandbox.operator_access import operator_stub
from sandbox.state import StateDir

REQUESTED_BY = "paymesh sandbox"
PAGE = 100
TIMEOUT_S = 10


async def create_merchant(state: StateDir, status: dict[str, Any], name: str, mode: str) -> Keys:
    """Take a merchant on and return its keys; the secret is shown this once."""
    async with _service(state, status) as stub:
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
            timeout=TIMEOUT_S,
        )
        key = await stub.CreateApiKey(
            merchant_pb2.CreateApiKeyRequest(
                merchant_id=made.merchant.id, mode=mode, requested_by=REQUESTED_BY
            ),
            timeout=TIMEOUT_S,
        )
    return Keys(made.merchant.id, key.api_key.publishable_key, key.secret_key)


async def create_key(
    state: StateDir, status: dict[str, Any], asked: merchant_pb2.CreateApiKeyRequest
) -> dict[str, Any]:
    """Make a pair of keys; the secret is shown this once."""
    async with _service(state, status) as stub:
        return _shown(await stub.CreateApiKey(asked, timeout=TIMEOUT_S))


async def list_keys(
    state: StateDir, status: dict[str, Any], merchant_id: str
) -> list[dict[str, Any]]:
    """Return a merchant's keys, newest first, without secrets."""
    async with _service(state, status) as stub:
        request = merchant_pb2.ListApiKeysRequest(merchant_id=merchant_id)
        found = await stub.ListApiKeys(request, timeout=TIMEOUT_S)
        return [_shown(key) for key in found.api_keys]


async def roll_key(
    state: StateDir, status: dict[str, Any], asked: merchant_pb2.RollApiKeyRequest
) -> dict[str, Any]:
    """Replace a pair of keys; the new secret is shown this once."""
    async with _service(state, status) as stub:
        return _shown(await stub.RollApiKey(asked, timeout=TIMEOUT_S))


async def revoke_key(
    state: StateDir, status: dict[str, Any], key_id: str, requested_by: str
) -> dict[str, Any]:
    """End a pair of keys."""
    async with _service(state, status) as stub:
        request = merchant_pb2.RevokeApiKeyRequest(api_key_id=key_id, requested_by=requested_by)
        return _shown((await stub.RevokeApiKey(request, timeout=TIMEOUT_S)).api_key)


async def restrict_key(
    state: StateDir, status: dict[str, Any], asked: merchant_pb2.RestrictApiKeyRequest
) -> dict[str, Any]:
    """Set what a pair of keys may do, and from where."""
    async with _service(state, status) as stub:
        return _shown((await stub.RestrictApiKey(asked, timeout=TIMEOUT_S)).api_key)


async def list_changes(
    state: StateDir, status: dict[str, Any], merchant_id: str
) -> list[dict[str, Any]]:
    """Return all that was done to a merchant's keys, newest first."""
    found: list[dict[str, Any]] = []
    asked = merchant_pb2.ListApiKeyChangesRequest(merchant_id=merchant_id, limit=PAGE)
    async with _service(state, status) as stub:
        while True:
            page = await stub.ListApiKeyChanges(asked, timeout=TIMEOUT_S)
            found += [_shown(change) for change in page.changes]
            if not page.has_more:
                return found
            asked.before = page.changes[-1].number


def _service(state: StateDir, status: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    return operator_stub(state.tls, status["authz"], merchant_grpc.MerchantServiceStub)


def _shown(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = MessageToDict(message)
    return shown
