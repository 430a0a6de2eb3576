"""gRPC in: what reconciliation asks of attempts."""

from __future__ import annotations

from paymesh.txn.v1 import attempt_service_pb2, attempt_service_pb2_grpc

from chassis.errors import ParameterInvalid, ParameterMissing
from chassis.identity import Context
from txn_svc.domain.attempt import Attempt, AttemptEvent, ReversalReason
from txn_svc.domain.transaction import NEVER_RECEIVED, Outcome
from txn_svc.handlers.answers import judge
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.messages import attempt_message
from txn_svc.networks.messages import AuthorizationResponse

_INQUIRY = attempt_service_pb2.InquiryOutcomeEnum
_RESOLUTION = attempt_service_pb2.ResolutionEnum
_REASON = attempt_service_pb2.ReversalReasonEnum
REASONS = {
    _REASON.customer_cancellation: ReversalReason.CUSTOMER_CANCELLATION,
    _REASON.response_too_late: ReversalReason.RESPONSE_TOO_LATE,
    _REASON.response_timeout: ReversalReason.RESPONSE_TIMEOUT,
    _REASON.invalid_response: ReversalReason.INVALID_RESPONSE,
}
OUTCOMES = {
    AttemptEvent.APPROVE: _INQUIRY.approved,
    AttemptEvent.DECLINE: _INQUIRY.declined,
    AttemptEvent.NO_ANSWER: _INQUIRY.no_answer,
}
EVENTS = {
    _RESOLUTION.succeeded: AttemptEvent.APPROVE,
    _RESOLUTION.failed: AttemptEvent.DECLINE,
}


class AttemptService(attempt_service_pb2_grpc.AttemptServiceServicer):
    """Attempts as reconciliation resolves them."""

    def __init__(self, handlers: AttemptHandlers) -> None:
        self._handlers = handlers

    async def InquireAttempt(
        self, request: attempt_service_pb2.InquireAttemptRequest, context: Context
    ) -> attempt_service_pb2.InquireAttemptResponse:
        """Ask the network."""
        outcome, answer = await self._handlers.inquire(request.merchant_id, request.attempt_id)
        said = _INQUIRY.not_found if outcome is None else OUTCOMES[outcome.event]
        return attempt_service_pb2.InquireAttemptResponse(
            outcome=said, answer=_answer_message(answer) if answer is not None else None
        )

    async def ReverseAttempt(
        self, request: attempt_service_pb2.ReverseAttemptRequest, context: Context
    ) -> attempt_service_pb2.ReverseAttemptResponse:
        """Undo an attempt."""
        reason = REASONS.get(request.reason)
        if reason is None:
            raise ParameterMissing("reason")
        attempt = await self._handlers.reverse(request.merchant_id, request.attempt_id, reason)
        return attempt_service_pb2.ReverseAttemptResponse(attempt=attempt_message(attempt))

    async def ResolveAttempt(
        self, request: attempt_service_pb2.ResolveAttemptRequest, context: Context
    ) -> attempt_service_pb2.ResolveAttemptResponse:
        """Settle an attempt."""
        event = EVENTS.get(request.resolution)
        if event is None:
            raise ParameterMissing("resolution")
        answer = _answer_of(request.answer) if request.HasField("answer") else None

        def judged(attempt: Attempt) -> Outcome:
            outcome = _judged(answer, attempt, event)
            if outcome.event is not event:
                raise ParameterInvalid("The answer does not say that.", param="answer")
            return outcome

        attempt = await self._handlers.resolve(request.merchant_id, request.attempt_id, judged)
        return attempt_service_pb2.ResolveAttemptResponse(attempt=attempt_message(attempt))

    async def CountAttempts(
        self, request: attempt_service_pb2.CountAttemptsRequest, context: Context
    ) -> attempt_service_pb2.CountAttemptsResponse:
        """Count what was recorded."""
        number = await self._handlers.count(request.created_from, request.created_until)
        return attempt_service_pb2.CountAttemptsResponse(recorded=number)


def _judged(answer: AuthorizationResponse | None, attempt: Attempt, event: AttemptEvent) -> Outcome:
    if answer is not None:
        return judge(answer, attempt)
    # Without an answer only this can be certain: the network never got the request.
    if event is AttemptEvent.APPROVE:
        raise ParameterMissing("answer")
    return Outcome(AttemptEvent.DECLINE, NEVER_RECEIVED)


def _answer_of(message: attempt_service_pb2.NetworkAnswer) -> AuthorizationResponse:
    return AuthorizationResponse(
        response_code=message.response_code,
        amount_minor=message.amount_in_cents if message.HasField("amount_in_cents") else None,
        approval_code=message.approval_code if message.HasField("approval_code") else None,
        network_trace_id=message.network_trace_id if message.HasField("network_trace_id") else None,
        currency_number=message.currency_number if message.HasField("currency_number") else None,
    )


def _answer_message(answer: AuthorizationResponse) -> attempt_service_pb2.NetworkAnswer:
    return attempt_service_pb2.NetworkAnswer(
        response_code=answer.response_code,
        amount_in_cents=answer.amount_minor,
        approval_code=answer.approval_code,
        network_trace_id=answer.network_trace_id,
        currency_number=answer.currency_number,
    )
