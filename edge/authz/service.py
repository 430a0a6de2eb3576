"""gRPC in: merchants and API keys, for the platform team's tools."""

from __future__ import annotations

from paymesh.merchant.v1 import merchant_service_pb2, merchant_service_pb2_grpc, mode_pb2

from chassis.errors import ParameterMissing
from chassis.identity import Context
from edge.authz.domain import ApiKey, BankAccount, Merchant, Mode
from edge.authz.handlers import MerchantHandlers


class MerchantService(merchant_service_pb2_grpc.MerchantServiceServicer):
    """Merchants and their API keys."""

    def __init__(self, handlers: MerchantHandlers) -> None:
        self._handlers = handlers

    async def CreateMerchant(
        self, request: merchant_service_pb2.CreateMerchantRequest, context: Context
    ) -> merchant_service_pb2.CreateMerchantResponse:
        """Take a merchant on."""
        account = None
        if request.HasField("bank_account"):
            given = request.bank_account
            account = BankAccount(
                given.account_holder,
                given.country,
                given.currency,
                given.account_number,
                given.routing_number,
            )
        merchant = await self._handlers.create_merchant(
            request.name, request.country, request.mcc, account
        )
        return merchant_service_pb2.CreateMerchantResponse(merchant=_merchant_message(merchant))

    async def GetMerchant(
        self, request: merchant_service_pb2.GetMerchantRequest, context: Context
    ) -> merchant_service_pb2.GetMerchantResponse:
        """Return a merchant."""
        merchant = await self._handlers.get_merchant(request.merchant_id)
        return merchant_service_pb2.GetMerchantResponse(merchant=_merchant_message(merchant))

    async def CreateApiKey(
        self, request: merchant_service_pb2.CreateApiKeyRequest, context: Context
    ) -> merchant_service_pb2.CreateApiKeyResponse:
        """Make a pair of keys."""
        if not request.mode:
            raise ParameterMissing("mode")
        mode: Mode = "live" if request.mode == mode_pb2.ModeEnum.live else "test"
        made = await self._handlers.create_key(request.merchant_id, mode)
        return merchant_service_pb2.CreateApiKeyResponse(
            api_key=_key_message(made.api_key), secret_key=made.secret_key
        )

    async def ListApiKeys(
        self, request: merchant_service_pb2.ListApiKeysRequest, context: Context
    ) -> merchant_service_pb2.ListApiKeysResponse:
        """List a merchant's keys."""
        keys = await self._handlers.list_keys(request.merchant_id)
        return merchant_service_pb2.ListApiKeysResponse(
            api_keys=[_key_message(key) for key in keys]
        )

    async def RollApiKey(
        self, request: merchant_service_pb2.RollApiKeyRequest, context: Context
    ) -> merchant_service_pb2.RollApiKeyResponse:
        """Replace a pair of keys."""
        overlap_s = request.overlap_in_seconds if request.HasField("overlap_in_seconds") else None
        made = await self._handlers.roll_key(request.api_key_id, overlap_s)
        return merchant_service_pb2.RollApiKeyResponse(
            api_key=_key_message(made.api_key), secret_key=made.secret_key
        )

    async def RevokeApiKey(
        self, request: merchant_service_pb2.RevokeApiKeyRequest, context: Context
    ) -> merchant_service_pb2.RevokeApiKeyResponse:
        """End a pair of keys."""
        ended = await self._handlers.revoke_key(request.api_key_id)
        return merchant_service_pb2.RevokeApiKeyResponse(api_key=_key_message(ended))


def _merchant_message(merchant: Merchant) -> merchant_service_pb2.Merchant:
    message = merchant_service_pb2.Merchant(
        id=merchant.id,
        name=merchant.name,
        country=merchant.country,
        mcc=merchant.mcc,
        created=int(merchant.created.timestamp()),
    )
    account = merchant.bank_account
    if account is not None:
        message.bank_account.CopyFrom(
            merchant_service_pb2.BankAccount(
                account_holder=account.account_holder,
                country=account.country,
                currency=account.currency,
                last4=account.account_number[-4:],
            )
        )
    return message


def _key_message(key: ApiKey) -> merchant_service_pb2.ApiKey:
    return merchant_service_pb2.ApiKey(
        id=key.id,
        merchant_id=key.merchant_id,
        mode=key.mode,
        publishable_key=key.publishable_key,
        secret_last4=key.secret_last4,
        created=int(key.created.timestamp()),
        expires=int(key.expires.timestamp()) if key.expires is not None else None,
    )
