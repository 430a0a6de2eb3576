"""gRPC in: card tokens, for customers' browsers."""

from __future__ import annotations

from paymesh.txn.v1 import card_token_service_pb2, card_token_service_pb2_grpc

from chassis.identity import Context, current_caller
from txn_svc.handlers.card_tokens import CardTokenHandlers, CardTokenWish
from txn_svc.messages import card_encryption_keys_message, card_token_message

# A key that is not listed any more decrypts for an hour, longer than this and the 10 minutes for
# which an encrypted card is good.
KEYS_MAY_BE_CACHED = (("cache-control", "public, max-age=300"),)


class CardTokenService(card_token_service_pb2_grpc.CardTokenServiceServicer):
    """Cards become tokens, so that card numbers never touch a merchant's server."""

    def __init__(self, handlers: CardTokenHandlers) -> None:
        self._handlers = handlers

    async def CreateCardToken(
        self, request: card_token_service_pb2.CreateCardTokenRequest, context: Context
    ) -> card_token_service_pb2.CardToken:
        """Make a token of an encrypted card."""
        wish = CardTokenWish(
            request.payment_intent_id, request.client_secret, request.encrypted_card
        )
        return card_token_message(await self._handlers.create(current_caller(), wish))

    async def GetCardEncryptionKeys(
        self, request: card_token_service_pb2.GetCardEncryptionKeysRequest, context: Context
    ) -> card_token_service_pb2.CardEncryptionKeys:
        """Return what cards are to be encrypted to."""
        keys = await self._handlers.public_keys()
        await context.send_initial_metadata(KEYS_MAY_BE_CACHED)
        return card_encryption_keys_message(keys)
