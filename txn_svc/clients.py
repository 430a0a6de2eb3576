"""gRPC out: the lifecycle of payment intents, many items a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from paymesh.intent.v1 import (
    payment_intent_lifecycle_service_pb2 as lifecycle_pb2,
)
from paymesh.intent.v1 import (
    payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc,
)
from paymesh.intent.v1 import payment_intent_pb2

from chassis import spans
from chassis.batching import Coalescer
from chassis.errors import DomainError, Kind, RemoteError, ServiceUnavailable, from_rpc_error
from txn_svc.domain.transaction import Transaction, TransactionStatus
from txn_svc.messages import failure_message

TIMEOUT_S = 10.0

KIND_BY_REASON = {
    "RESOURCE_MISSING": Kind.NOT_FOUND,
    "PAYMENT_INTENT_UNEXPECTED_STATE": Kind.WRONG_STATE,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What an intent wants charged, in minor units of `currency`. is_hold: it is captured later."""

    amount_minor: int
    currency: str
    is_hold: bool


class IntentClient:
    """Claims intents for transactions and tells them the outcome."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = lifecycle_grpc.PaymentIntentLifecycleServiceStub(channel)
        self._claims: Coalescer[Transaction, Terms] = Coalescer("txn.claim", self._claim)
        self._outcomes: Coalescer[Transaction, None] = Coalescer("txn.tell", self._tell)

    async def begin_processing(self, transaction: Transaction) -> Terms:
        """Claim the transaction's intent; the same transaction may ask again.

        Raises RemoteError with the intent's refusal, or ServiceUnavailable: then it is not known
        whether the intent is claimed.
        """
        return await self._claims.submit(transaction)

    async def apply_outcome(self, transaction: Transaction) -> None:
        """Tell the intent what became of the transaction. Raises as begin_processing."""
        await self._outcomes.submit(transaction)

    async def look_up(self, merchant_id: str, mode: str, intent_id: str) -> Terms:
        """Return what an intent wants charged.

        Raises RemoteError when the merchant has no such intent, or ServiceUnavailable.
        """
        request = lifecycle_pb2.LookUpPaymentIntentRequest(
            merchant_id=merchant_id,
            mode=mode,
            payment_intent_id=intent_id,
        )
        try:
            response = await self._stub.LookUpPaymentIntent(
                request, timeout=TIMEOUT_S, metadata=_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return _terms(response.payment_intent)

    async def _claim(self, items: Sequence[Transaction]) -> Sequence[Terms | DomainError]:
        request = lifecycle_pb2.BatchBeginProcessingRequest(
            items=[
                lifecycle_pb2.BeginProcessingItem(
                    merchant_id=item.merchant_id,
                    mode=item.mode,
                    payment_intent_id=item.payment_intent_id,
                    transaction_id=item.id,
                )
                for item in items
            ]
        )
        try:
            response = await self._stub.BatchBeginProcessing(
                request, timeout=TIMEOUT_S, metadata=_metadata()
            )
        except grpc.aio.AioRpcError as error:
            return [_unavailable(error)] * len(items)
        return [
            _terms(verdict.terms) if verdict.HasField("terms") else _refused(verdict.refusal)
            for verdict in response.verdicts
        ]

    async def _tell(self, items: Sequence[Transaction]) -> Sequence[DomainError | None]:
        request = lifecycle_pb2.BatchApplyOutcomeRequest(
            items=[
                lifecycle_pb2.ApplyOutcomeItem(
                    merchant_id=item.merchant_id,
                    payment_intent_id=item.payment_intent_id,
                    transaction_id=item.id,
                    outcome=_outcome(item),
                    amount_captured_in_cents=item.amount_captured_minor,
                    capture_before=None if item.amount_captured_minor else item.capture_before,
                    failure=failure_message(item.failure) if item.failure is not None else None,
                )
                for item in items
            ]
        )
        try:
            response = await self._stub.BatchApplyOutcome(
                request, timeout=TIMEOUT_S, metadata=_metadata()
            )
        except grpc.aio.AioRpcError as error:
            return [_unavailable(error)] * len(items)
        return [
            _refused(verdict.refusal) if verdict.HasField("refusal") else None
            for verdict in response.verdicts
        ]


def _terms(told: lifecycle_pb2.ChargeTerms | payment_intent_pb2.PaymentIntent) -> Terms:
    is_hold = told.capture_method == payment_intent_pb2.CaptureMethodEnum.manual
    return Terms(told.amount_in_cents, told.currency, is_hold)


def _outcome(transaction: Transaction) -> lifecycle_pb2.OutcomeEnum.Outcome:
    if transaction.status is TransactionStatus.FAILED:
        return lifecycle_pb2.OutcomeEnum.failed
    is_captured = transaction.amount_captured_minor > 0
    return (
        lifecycle_pb2.OutcomeEnum.succeeded if is_captured else lifecycle_pb2.OutcomeEnum.authorized
    )


def _metadata() -> tuple[tuple[str, str], ...]:
    return (("traceparent", spans.traceparent() or spans.NOT_SAMPLED),)


def _unavailable(error: grpc.aio.AioRpcError) -> DomainError:
    """Return the one meaning that a failed batch has for each of its items: it may have worked."""
    found = from_rpc_error(error)
    if found.kind is Kind.UNAVAILABLE:
        return found
    return ServiceUnavailable(found.message)


def _refused(refusal: lifecycle_pb2.Refusal) -> DomainError:
    kind = KIND_BY_REASON.get(refusal.reason, Kind.UNAVAILABLE)
    return RemoteError(kind, refusal.reason, refusal.message, param="paymentIntentId")
