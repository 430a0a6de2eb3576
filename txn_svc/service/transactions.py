"""gRPC in: the public transactions."""

from __future__ import annotations

from functools import partial

from paymesh.txn.v1 import transaction_pb2, transaction_service_pb2, transaction_service_pb2_grpc

from chassis.errors import ParameterMissing, ResourceMissing
from chassis.idempotency import mark_replayed, request_hash, required_idempotency_key
from chassis.identity import Context, current_caller
from chassis.ids import PaymentIntentId, is_id
from chassis.paging import page_of
from txn_svc.domain.card import CardFields
from txn_svc.handlers.charges import ChargeHandlers, ChargeWish
from txn_svc.messages import transaction_message, transaction_with_attempts

# The wrapper's own Name() builds a map at each call.
TYPE_NAMES = {
    number: name for name, number in transaction_pb2.TransactionTypeEnum.TransactionType.items()
}


class TransactionService(transaction_service_pb2_grpc.TransactionServiceServicer):
    """Movements of money as merchants see them."""

    def __init__(self, handlers: ChargeHandlers, request_key: bytes) -> None:
        self._handlers = handlers
        self._request_key = request_key

    async def CreateTransaction(
        self, request: transaction_service_pb2.CreateTransactionRequest, context: Context
    ) -> transaction_pb2.Transaction:
        """Charge a card."""
        key = required_idempotency_key(context)
        if not request.type:
            raise ParameterMissing("type")
        if not request.HasField("card"):
            raise ParameterMissing("card")
        card = request.card
        wish = ChargeWish(
            payment_intent_id=request.payment_intent_id,
            type_name=TYPE_NAMES.get(request.type, "unknown"),
            token=card.token if card.HasField("token") else None,
            card=CardFields(
                number=card.number if card.HasField("number") else None,
                exp_month=card.exp_month if card.HasField("exp_month") else None,
                exp_year=card.exp_year if card.HasField("exp_year") else None,
                cvc=card.cvc if card.HasField("cvc") else None,
            ),
            key=key,
            request_hash=request_hash("CreateTransaction", request, self._request_key),
        )
        answer = await self._handlers.charge(current_caller(), wish)
        if answer.is_replay:
            await mark_replayed(context)
        return transaction_message(answer.transaction)

    async def GetTransaction(
        self, request: transaction_service_pb2.GetTransactionRequest, context: Context
    ) -> transaction_pb2.Transaction:
        """Return a transaction."""
        found = await self._handlers.read(
            current_caller(), request.payment_intent_id, request.transaction_id
        )
        message = transaction_with_attempts(found.transaction, found.attempts)
        return _marked(message, is_archived=found.is_archived)

    async def ListTransactions(
        self, request: transaction_service_pb2.ListTransactionsRequest, context: Context
    ) -> transaction_service_pb2.TransactionList:
        """List an intent's transactions."""
        caller = current_caller()
        if not is_id("pi", request.payment_intent_id):
            raise ResourceMissing("No such payment intent.", param="paymentIntentId")
        page = page_of(request)
        await page.check_cursor(partial(self._handlers.read, caller, request.payment_intent_id))
        listed = await self._handlers.list(caller, PaymentIntentId(request.payment_intent_id), page)
        return transaction_service_pb2.TransactionList(
            data=[
                _marked(transaction_message(each), is_archived=listed.is_archived)
                for each in listed.transactions
            ],
            has_more=listed.has_more,
        )


def _marked(
    message: transaction_pb2.Transaction, *, is_archived: bool
) -> transaction_pb2.Transaction:
    if is_archived:
        message.archived = True
    return message
