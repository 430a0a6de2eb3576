"""gRPC out: the lifecycle of payment intents, many items a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from chassis.identity import Caller
from txn_svc.domain.attempt import Attempt
from txn_svc.domain.transaction import (
    ABANDONED,
    CLAIM_WITHIN_S,
    AbandonedClaim,
    Transaction,
    TransactionStatus,
)
from txn_svc.messages import failure_message, refusal_message

TIMEOUT_S = 10.0

KIND_BY_REASON = {
    "RESOURCE_MISSING": Kind.NOT_FOUND,
    "PAYMENT_INTENT_UNEXPECTED_STATE": Kind.WRONG_STATE,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What an intent wants charged, in minor units of `currency`.

    is_hold: it is captured later. accepts_part: an approval of less is taken.
    """

    amount_minor: int
    currency: str
    is_hold: bool
    accepts_part: bool


class IntentClient:
    """Claims intents for transactions and tells them the outcome."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = lifecycle_grpc.PaymentIntentLifecycleServiceStub(channel)
        self._claims: Coalescer[Transaction, Terms] = Coalescer("txn.claim", self._claim)
        self._outcomes: Coalescer[lifecycle_pb2.ApplyOutcomeItem, None] = Coalescer(
            "txn.tell", self._tell
        )
        self._secrets: Coalescer[lifecycle_pb2.CheckClientSecretItem, None] = Coalescer(
            "txn.check_secret", self._check_secrets
        )

    async def begin_processing(self, transaction: Transaction) -> Terms:
        """Claim the transaction's intent; the same transaction may ask again, in its time.

        Raises RemoteError with the intent's refusal, or ServiceUnavailable: then it is not known
        whether the intent is claimed.
        """
        return await self._claims.submit(transaction)

    async def apply_outcome(self, transaction: Transaction) -> None:
        """Tell the intent what became of the transaction. Raises as begin_processing."""
        item = lifecycle_pb2.ApplyOutcomeItem(
            merchant_id=transaction.merchant_id,
            payment_intent_id=transaction.payment_intent_id,
            transaction_id=transaction.id,
            outcome=_outcome(transaction),
            amount_captured_in_cents=transaction.amount_captured_minor,
            capture_before=None
            if transaction.amount_captured_minor
            else transaction.capture_before,
            failure=failure_message(transaction.failure) if transaction.failure else None,
            amount_authorized_in_cents=transaction.amount_approved_minor or 0,
        )
        await self._outcomes.submit(item)

    async def apply_refusal(self, capture: Attempt) -> None:
        """Tell the intent that the network refused a capture. Raises as begin_processing."""
        item = lifecycle_pb2.ApplyOutcomeItem(
            merchant_id=capture.merchant_id,
            payment_intent_id=capture.payment_intent_id,
            transaction_id=capture.transaction_id,
            outcome=lifecycle_pb2.OutcomeEnum.capture_refused,
            failure=refusal_message(capture),
            capture_number=capture.capture_number,
        )
        await self._outcomes.submit(item)

    async def apply_abandonment(self, claim: AbandonedClaim) -> None:
        """Tell the intent that a transaction that may hold it is no more. Raises as above."""
        item = lifecycle_pb2.ApplyOutcomeItem(
            merchant_id=claim.merchant_id,
            payment_intent_id=claim.payment_intent_id,
            transaction_id=claim.transaction_id,
            outcome=lifecycle_pb2.OutcomeEnum.failed,
            failure=failure_message(ABANDONED),
        )
        await self._outcomes.submit(item)

    async def check_client_secret(self, caller: Caller, intent_id: str, client_secret: str) -> None:
        """Return if the secret is that of an intent of the caller's which can still be paid.

        Raises RemoteError with the refusal, or ServiceUnavailable.
        """
        await self._secrets.submit(
            lifecycle_pb2.CheckClientSecretItem(
                merchant_id=caller.merchant_id,
                mode=caller.mode,
                payment_intent_id=intent_id,
                client_secret=client_secret,
            )
        )

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
                    claim_before=item.created + CLAIM_WITHIN_S,
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

    async def _tell(
        self, items: Sequence[lifecycle_pb2.ApplyOutcomeItem]
    ) -> Sequence[DomainError | None]:
        request = lifecycle_pb2.BatchApplyOutcomeRequest(items=items)
        return await _verdicts(self._stub.BatchApplyOutcome, request)

    async def _check_secrets(
        self, items: Sequence[lifecycle_pb2.CheckClientSecretItem]
    ) -> Sequence[DomainError | None]:
        request = lifecycle_pb2.BatchCheckClientSecretsRequest(items=items)
        return await _verdicts(self._stub.BatchCheckClientSecrets, request)


async def _verdicts(call: Any, request: Any) -> Sequence[DomainError | None]:
    """Call with a batch and return what was refused, item by item."""
    try:
        response = await call(request, timeout=TIMEOUT_S, metadata=_metadata())
    except grpc.aio.AioRpcError as error:
        return [_unavailable(error)] * len(request.items)
    return [
        _refused(verdict.refusal) if verdict.HasField("refusal") else None
        for verdict in response.verdicts
    ]


def _terms(told: lifecycle_pb2.ChargeTerms | payment_intent_pb2.PaymentIntent) -> Terms:
    is_hold = told.capture_method == payment_intent_pb2.CaptureMethodEnum.manual
    accepts_part = told.partial_approval == payment_intent_pb2.PartialApprovalEnum.accepted
    return Terms(told.amount_in_cents, told.currency, is_hold, accepts_part)


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
