"""What a card network's answer comes to."""

from __future__ import annotations

from chassis.money import Money
from txn_svc.domain import decline
from txn_svc.domain.attempt import AttemptEvent, Message, ReversalReason
from txn_svc.domain.transaction import PARTLY_APPROVED, Failure, Outcome
from txn_svc.networks.messages import AuthorizationResponse

PARTIAL_APPROVAL = "10"


def judge(response: AuthorizationResponse, money: Money, *messages: Message) -> Outcome:
    """Return what an answer comes to; whatever is not certain is no answer.

    The amount approved is that of the answer (DE4). Where it is not the whole, nothing is charged
    and the approval is undone.
    """
    event, failure, undo = _verdict(response, money)
    return Outcome(
        event,
        failure,
        response.response_code,
        response.approval_code,
        response.network_trace_id,
        undo,
        messages,
    )


def _verdict(
    response: AuthorizationResponse, money: Money
) -> tuple[AttemptEvent, Failure | None, ReversalReason | None]:
    code = response.response_code
    failure = decline.decline(code)
    if failure is not None:
        return AttemptEvent.DECLINE, failure, None
    if decline.is_approved(code) and response.amount_minor in {None, money.amount_minor}:
        return AttemptEvent.APPROVE, None, None
    is_part = response.amount_minor not in {None, money.amount_minor}
    if is_part and (decline.is_approved(code) or code == PARTIAL_APPROVAL):
        return AttemptEvent.DECLINE, PARTLY_APPROVED, ReversalReason.INVALID_RESPONSE
    return AttemptEvent.NO_ANSWER, None, None
