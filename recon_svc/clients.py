"""gRPC out: txn_svc asks and tells the card networks what reconciliation wants to know and have."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from paymesh.txn.v1 import attempt_service_pb2 as attempt_pb2
from paymesh.txn.v1 import attempt_service_pb2_grpc as attempt_grpc

from chassis.errors import from_rpc_error
from recon_svc.domain.resolution import Attempt, OpenAttempt, Said

TIMEOUT_S = 45.0  # an inquiry waits for the network
APPROVED = "00"  # ISO 8583:1987 DE39; what is presented was approved

SAID = {
    attempt_pb2.InquiryOutcomeEnum.approved: Said.APPROVED,
    attempt_pb2.InquiryOutcomeEnum.declined: Said.DECLINED,
    attempt_pb2.InquiryOutcomeEnum.not_found: Said.NOT_FOUND,
    attempt_pb2.InquiryOutcomeEnum.no_answer: Said.NO_ANSWER,
}
RESOLUTIONS = {
    Said.APPROVED: attempt_pb2.ResolutionEnum.succeeded,
    Said.DECLINED: attempt_pb2.ResolutionEnum.failed,
    Said.NOT_FOUND: attempt_pb2.ResolutionEnum.failed,
}


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What the network said, and its answer as it is handed back to settle the attempt."""

    said: Said
    answer: attempt_pb2.NetworkAnswer | None


class AttemptClient:
    """Has attempts asked about, settled and undone. Every call raises a DomainError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = attempt_grpc.AttemptServiceStub(channel)

    async def inquire(self, attempt: Attempt) -> Inquiry:
        """Have the network asked what became of an attempt."""
        request = attempt_pb2.InquireAttemptRequest(
            merchant_id=attempt.merchant_id, attempt_id=attempt.id
        )
        try:
            response = await self._stub.InquireAttempt(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        answer = response.answer if response.HasField("answer") else None
        return Inquiry(SAID.get(response.outcome, Said.NO_ANSWER), answer)

    async def resolve(self, attempt: Attempt, inquiry: Inquiry) -> None:
        """Have an attempt settled by what the network said."""
        answer = inquiry.answer if inquiry.said is not Said.NOT_FOUND else None
        request = attempt_pb2.ResolveAttemptRequest(
            merchant_id=attempt.merchant_id,
            attempt_id=attempt.id,
            resolution=RESOLUTIONS[inquiry.said],
            answer=answer,
        )
        try:
            await self._stub.ResolveAttempt(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def settle_presented(self, presented: OpenAttempt) -> None:
        """Have an attempt settled by its line in a clearing file, the network's last word."""
        answer = attempt_pb2.NetworkAnswer(
            response_code=APPROVED,
            amount_in_cents=presented.amount_minor,
            approval_code=presented.approval_code,
            network_trace_id=presented.network_trace_id,
        )
        request = attempt_pb2.ResolveAttemptRequest(
            merchant_id=presented.merchant_id,
            attempt_id=presented.attempt_id,
            resolution=attempt_pb2.ResolutionEnum.succeeded,
            answer=answer,
        )
        try:
            await self._stub.ResolveAttempt(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def reverse(self, attempt: Attempt) -> None:
        """Have an attempt undone because its answer did not come."""
        request = attempt_pb2.ReverseAttemptRequest(
            merchant_id=attempt.merchant_id,
            attempt_id=attempt.id,
            reason=attempt_pb2.ReversalReasonEnum.response_timeout,
        )
        try:
            await self._stub.ReverseAttempt(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def count(self, created_from: int, created_until: int) -> int:
        """Return how many attempts were recorded in a span of time, Unix seconds."""
        request = attempt_pb2.CountAttemptsRequest(
            created_from=created_from, created_until=created_until
        )
        try:
            response = await self._stub.CountAttempts(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return response.recorded
