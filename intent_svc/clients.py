"""gRPC out: txn_svc captures and releases what issuers hold."""

from __future__ import annotations

import grpc
from paymesh.txn.v1 import attempt_pb2
from paymesh.txn.v1 import authorization_service_pb2 as authorization_pb2
from paymesh.txn.v1 import authorization_service_pb2_grpc as authorization_grpc

from chassis import spans
from chassis.errors import ResourceMissing, from_rpc_error
from chassis.ids import TransactionId
from intent_svc.domain.payment_intent import PaymentIntent

CAPTURE_TIMEOUT_S = 35.0  # it waits for the card network; less than the edge waits for us
VOID_TIMEOUT_S = 5.0  # it is only written down

_RECORDED = attempt_pb2.AttemptStatusEnum.recorded


class AuthorizationClient:
    """Has done what was decided about held funds. Every call may be repeated."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = authorization_grpc.AuthorizationServiceStub(channel)

    async def capture(self, intent: PaymentIntent) -> int:
        """Have the funds captured; returns when that is written down and the network had its time.

        If another call has had it written down, returns at once until when that one waits for the
        network, Unix seconds; else 0. Raises RemoteError with the refusal, or ServiceUnavailable:
        then it may be written down.
        """
        request = authorization_pb2.CaptureAuthorizationRequest(
            merchant_id=intent.merchant_id,
            transaction_id=_holder(intent),
            amount_in_cents=intent.amount_to_capture_minor or 0,
            capture_number=intent.captures,
        )
        try:
            response = await self._stub.CaptureAuthorization(
                request, timeout=CAPTURE_TIMEOUT_S, metadata=_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return response.attempt.deadline if response.attempt.status == _RECORDED else 0

    async def void(self, intent: PaymentIntent) -> None:
        """Have the funds released; returns when that is written down. Raises as capture."""
        request = authorization_pb2.VoidAuthorizationRequest(
            merchant_id=intent.merchant_id, transaction_id=_holder(intent)
        )
        try:
            await self._stub.VoidAuthorization(
                request, timeout=VOID_TIMEOUT_S, metadata=_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error


def _holder(intent: PaymentIntent) -> TransactionId:
    if intent.latest_transaction_id is None:
        raise ResourceMissing("No transaction holds this intent.", param="paymentIntentId")
    return intent.latest_transaction_id


def _metadata() -> tuple[tuple[str, str], ...]:
    return (("traceparent", spans.traceparent() or spans.NOT_SAMPLED),)
