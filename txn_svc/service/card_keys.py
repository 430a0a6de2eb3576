"""gRPC in: what operators ask about the keys of card data."""

from __future__ import annotations

from paymesh.txn.v1 import card_key_service_pb2, card_key_service_pb2_grpc

from chassis.errors import ParameterMissing
from chassis.identity import Context
from chassis.ids import Kid
from txn_svc.handlers.card_keys import CardKeyHandlers


class CardKeyService(card_key_service_pb2_grpc.CardKeyServiceServicer):
    """Keys of card data, as long as something is read with them."""

    def __init__(self, handlers: CardKeyHandlers) -> None:
        self._handlers = handlers

    async def CountCardKeyRows(
        self, request: card_key_service_pb2.CountCardKeyRowsRequest, context: Context
    ) -> card_key_service_pb2.CountCardKeyRowsResponse:
        """Count what each key has to read."""
        counted = await self._handlers.count_rows()
        return card_key_service_pb2.CountCardKeyRowsResponse(
            keys=[
                card_key_service_pb2.CardKeyRows(kid=kid, rows=number)
                for kid, number in counted.items()
            ]
        )

    async def RetireCardKey(
        self, request: card_key_service_pb2.RetireCardKeyRequest, context: Context
    ) -> card_key_service_pb2.RetireCardKeyResponse:
        """Destroy a key."""
        if not request.kid:
            raise ParameterMissing("kid")
        await self._handlers.retire(Kid(request.kid))
        return card_key_service_pb2.RetireCardKeyResponse()
