"""gRPC in: what intent_svc decides about held funds."""

from __future__ import annotations

from typing import Any

import grpc
from paymesh.txn.v1 import authorization_service_pb2, authorization_service_pb2_grpc

from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.messages import attempt_message

Context = grpc.aio.ServicerContext[Any, Any]


class AuthorizationService(authorization_service_pb2_grpc.AuthorizationServiceServicer):
    """Held funds as intent_svc disposes of them."""

    def __init__(self, handlers: CaptureHandlers) -> None:
        self._handlers = handlers

    async def CaptureAuthorization(
        self, request: authorization_service_pb2.CaptureAuthorizationRequest, context: Context
    ) -> authorization_service_pb2.CaptureAuthorizationResponse:
        """Claim held funds."""
        attempt = await self._handlers.capture(
            request.merchant_id,
            request.transaction_id,
            request.amount_in_cents,
            request.capture_number,
        )
        return authorization_service_pb2.CaptureAuthorizationResponse(
            attempt=attempt_message(attempt)
        )

    async def VoidAuthorization(
        self, request: authorization_service_pb2.VoidAuthorizationRequest, context: Context
    ) -> authorization_service_pb2.VoidAuthorizationResponse:
        """Release held funds."""
        attempt = await self._handlers.void(request.merchant_id, request.transaction_id)
        return authorization_service_pb2.VoidAuthorizationResponse(attempt=attempt_message(attempt))
