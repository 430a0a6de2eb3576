"""gRPC in: merchants and API keys, for the platform team's tools."""

from __future__ import annotations

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from paymesh.merchant.v1 import (
    api_key_rights_pb2,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    mode_pb2,
)

from chassis.clock import Clock
from chassis.errors import ParameterMissing
from chassis.identity import Context
from chassis.paging import LIMIT_DEFAULT
from edge.authz.domain.key import ApiKey, Mode
from edge.authz.domain.merchant import BankAccount
from edge.authz.handlers import Limits, MerchantHandlers
from edge.authz.messages import change_message, key_message, merchant_message


class MerchantService(merchant_service_pb2_grpc.MerchantServiceServicer):
    """Merchants and their API keys."""

    def __init__(self, handlers: MerchantHandlers, clock: Clock) -> None:
        self._handlers = handlers
        self._clock = clock

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
        return merchant_service_pb2.CreateMerchantResponse(merchant=merchant_message(merchant))

    async def GetMerchant(
        self, request: merchant_service_pb2.GetMerchantRequest, context: Context
    ) -> merchant_service_pb2.GetMerchantResponse:
        """Return a merchant."""
        merchant = await self._handlers.get_merchant(request.merchant_id)
        return merchant_service_pb2.GetMerchantResponse(merchant=merchant_message(merchant))

    async def CreateApiKey(
        self, request: merchant_service_pb2.CreateApiKeyRequest, context: Context
    ) -> merchant_service_pb2.CreateApiKeyResponse:
        """Make a pair of keys."""
        if not request.mode:
            raise ParameterMissing("mode")
        mode: Mode = "live" if request.mode == mode_pb2.ModeEnum.live else "test"
        made = await self._handlers.create_key(
            request.merchant_id, mode, _limits(request), request.requested_by
        )
        return merchant_service_pb2.CreateApiKeyResponse(
            api_key=self._shown(made.api_key), secret_key=made.secret_key
        )

    async def ListApiKeys(
        self, request: merchant_service_pb2.ListApiKeysRequest, context: Context
    ) -> merchant_service_pb2.ListApiKeysResponse:
        """List a merchant's keys."""
        keys = await self._handlers.list_keys(request.merchant_id)
        return merchant_service_pb2.ListApiKeysResponse(api_keys=[self._shown(key) for key in keys])

    async def RollApiKey(
        self, request: merchant_service_pb2.RollApiKeyRequest, context: Context
    ) -> merchant_service_pb2.RollApiKeyResponse:
        """Replace a pair of keys."""
        overlap_s = request.overlap_in_seconds if request.HasField("overlap_in_seconds") else None
        made = await self._handlers.roll_key(request.api_key_id, overlap_s, request.requested_by)
        return merchant_service_pb2.RollApiKeyResponse(
            api_key=self._shown(made.api_key), secret_key=made.secret_key
        )

    async def RevokeApiKey(
        self, request: merchant_service_pb2.RevokeApiKeyRequest, context: Context
    ) -> merchant_service_pb2.RevokeApiKeyResponse:
        """End a pair of keys."""
        ended = await self._handlers.revoke_key(request.api_key_id, request.requested_by)
        return merchant_service_pb2.RevokeApiKeyResponse(api_key=self._shown(ended))

    async def RestrictApiKey(
        self, request: merchant_service_pb2.RestrictApiKeyRequest, context: Context
    ) -> merchant_service_pb2.RestrictApiKeyResponse:
        """Set what a pair of keys may do, and from where."""
        restricted = await self._handlers.restrict_key(
            request.api_key_id, _limits(request), request.requested_by
        )
        return merchant_service_pb2.RestrictApiKeyResponse(api_key=self._shown(restricted))

    async def ListApiKeyChanges(
        self, request: merchant_service_pb2.ListApiKeyChangesRequest, context: Context
    ) -> merchant_service_pb2.ListApiKeyChangesResponse:
        """List what was done to a merchant's keys."""
        changes, has_more = await self._handlers.list_changes(
            request.merchant_id,
            request.before if request.HasField("before") else None,
            request.limit if request.HasField("limit") else LIMIT_DEFAULT,
        )
        return merchant_service_pb2.ListApiKeyChangesResponse(
            changes=[change_message(change) for change in changes], has_more=has_more
        )

    def _shown(self, key: ApiKey) -> merchant_service_pb2.ApiKey:
        return key_message(key, self._clock.now())


def _limits(
    request: merchant_service_pb2.CreateApiKeyRequest | merchant_service_pb2.RestrictApiKeyRequest,
) -> Limits:
    """Return the limits that are asked for; a value that is not in the contract is its number."""
    permissions = None
    if request.HasField("rights"):
        permissions = [
            (
                _name(api_key_rights_pb2.ResourceEnum.Resource, given.resource),
                _name(api_key_rights_pb2.AccessEnum.Access, given.access),
            )
            for given in request.rights.permissions
        ]
    cidrs = list(request.networks.cidrs) if request.HasField("networks") else None
    return Limits(permissions, cidrs)


def _name(names: EnumTypeWrapper, value: int) -> str:
    return names.Name(value) if value in names.values() else str(value)
