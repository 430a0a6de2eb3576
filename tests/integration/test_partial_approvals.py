"""Approvals of only a part, over the simulated networks: taken or undone, whoever hears of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest
from paymesh.txn.v1 import attempt_service_pb2

from chassis.errors import ParameterInvalid
from chassis.identity import Context
from chassis.money import Money
from tests.integration.network_parts import NETWORKS, card_fields
from tests.integration.races import race
from tests.integration.resolution_parts import TIMED_OUT, UNANSWERED_S, Resolving
from tests.integration.txn_parts import AMOUNT_MINOR, HOLD_ATTEMPT, a_step
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptStatus
from txn_svc.domain.card import check_card
from txn_svc.domain.resolution import AttemptInUnexpectedState
from txn_svc.domain.transaction import Outcome, TransactionStatus
from txn_svc.handlers.answers import judge
from txn_svc.handlers.attempts import InquiryNotOffered
from txn_svc.networks.connection import Elements
from txn_svc.networks.messages import AuthorizationResponse
from txn_svc.service.attempts import AttemptService

pytestmark = pytest.mark.integration

SUCCEEDED, FAILED = 1, 3  # as the contract numbers outcomes
PART = AMOUNT_MINOR // 2
APPROVAL_OF_A_PART = AuthorizationResponse("10", PART, "123456", "T1")
NO_CONTEXT = cast("Context", None)
RESOLUTION = attempt_service_pb2.ResolutionEnum


def part(attempt: Attempt) -> Outcome:
    return judge(APPROVAL_OF_A_PART, attempt)


def _reply(attempt: Attempt) -> Elements:
    return {
        "t": "0110",
        "3": "000000",
        "4": f"{PART:012d}",
        "37": attempt.rrn,
        "39": "10",
        "49": "840",
    }


def _undoing(attempt: Attempt) -> str | None:
    return attempt.reversal.status if attempt.reversal is not None else None


async def _messages(resolving: Resolving, attempt: Attempt, mti: str) -> list[dict[str, str]]:
    messages = (await resolving.book(attempt))["messages"]
    assert isinstance(messages, list)
    return [message for message in messages if message["mti"] == mti]


@pytest.mark.parametrize("network", NETWORKS)
async def test_an_accepted_part_is_collected_and_not_undone(
    resolving: Resolving, network: str
) -> None:
    resolving.intents.accepts_part = True

    attempt = await resolving.charged(network, "half")

    transaction, attempt = await resolving.exchange(attempt)
    book = await resolving.book(attempt)
    assert (transaction.status, transaction.amount_minor) == (
        TransactionStatus.SUCCEEDED,
        AMOUNT_MINOR,
    )
    assert (transaction.amount_approved_minor, transaction.amount_captured_minor) == (PART, PART)
    assert (attempt.status, attempt.amount_approved_minor, attempt.reversal) == (
        AttemptStatus.SUCCEEDED,
        PART,
        None,
    )
    assert (book["captured"], book["reversed"]) == (PART, False)
    assert resolving.intents.told == [(transaction.id, SUCCEEDED)]
    assert resolving.intents.authorized == [PART]
    last = (await resolving.process.events(attempt.payment_intent_id))[-1]
    assert last.attempt.amount_approved_in_cents == PART
    assert last.transaction.amount_approved_in_cents == PART


@pytest.mark.parametrize("network", NETWORKS)
async def test_the_reversal_of_a_refused_part_is_of_what_was_approved(
    resolving: Resolving, network: str
) -> None:
    attempt = await resolving.charged(network, "half")

    await resolving.send_due()

    [advice] = await _messages(resolving, attempt, "0420")
    after = await resolving.attempt(attempt)
    assert (advice["amount"], advice["response_code"]) == (f"{PART:012d}", "00")
    assert (after.status, after.amount_approved_minor) == (AttemptStatus.FAILED, PART)
    assert resolving.intents.authorized == [0]


async def test_the_reversal_of_what_had_no_answer_is_of_what_was_asked_for(
    resolving: Resolving,
) -> None:
    resolving.intents.accepts_part = True
    attempt = await resolving.charged("visa_sim", "half, answer lost")
    await resolving.reverse(attempt)
    # It is evidence by now, and changes nothing of the advice.
    resolving.other_resolver.take_stray("visa_sim", _reply(attempt))
    await resolving.other_resolver.stop()

    await resolving.send_due()

    [advice] = await _messages(resolving, attempt, "0420")
    after = await resolving.attempt(attempt)
    assert (advice["amount"], advice["response_code"]) == (f"{AMOUNT_MINOR:012d}", "00")
    assert (after.status, after.amount_approved_minor) == (AttemptStatus.REVERSED, None)


# Whether the intent accepts a part; what a late approval of one makes of an unanswered attempt, and
# what the intent is told of it.
LATE = [
    (True, (TransactionStatus.SUCCEEDED, AttemptStatus.SUCCEEDED, None), (SUCCEEDED, PART)),
    (False, (TransactionStatus.FAILED, AttemptStatus.FAILED, "pending"), (FAILED, 0)),
]


@pytest.mark.parametrize(("accepts_part", "expected", "told"), LATE)
async def test_a_stray_part_settles_at_a_process_that_did_not_ask_for_it(
    resolving: Resolving,
    *,
    accepts_part: bool,
    expected: tuple[TransactionStatus, AttemptStatus, str | None],
    told: tuple[int, int],
) -> None:
    resolving.intents.accepts_part = accepts_part
    attempt = await resolving.charged("visa_sim", "half, answer lost")

    resolving.other_resolver.take_stray("visa_sim", _reply(attempt))
    await resolving.other_resolver.stop()

    transaction, after = await resolving.exchange(attempt)
    assert (transaction.status, after.status, _undoing(after)) == expected
    assert transaction.amount_captured_minor == (PART if accepts_part else 0)
    [(_, outcome)] = resolving.intents.told
    assert (outcome, *resolving.intents.authorized) == told


@pytest.mark.parametrize(("accepts_part", "expected", "told"), LATE)
async def test_of_a_late_part_and_a_reversal_the_first_counts(
    resolving: Resolving,
    *,
    accepts_part: bool,
    expected: tuple[TransactionStatus, AttemptStatus, str | None],
    told: tuple[int, int],
) -> None:
    """The approval comes first here, and to the row at the same time as the reversal."""
    step = await resolving.recorded(accepts_part=accepts_part)
    resolving.move(UNANSWERED_S)
    owned = (step.attempt.merchant_id, step.attempt.id)
    with pytest.raises(InquiryNotOffered):  # lets the attempt become unanswered
        await resolving.resolver.inquire(*owned)

    settled, reversed_ = await race(
        resolving.process.database,
        HOLD_ATTEMPT,
        resolving.resolver.take_late_answer(step.attempt, part(step.attempt)),
        resolving.other_resolver.reverse(*owned, TIMED_OUT),
        id=step.attempt.id,
    )

    transaction, attempt = await resolving.exchange(step.attempt)
    assert (transaction.status, attempt.status, _undoing(attempt)) == expected
    assert settled == transaction
    # What is being undone already is no error for whoever wants it undone.
    assert isinstance(reversed_, AttemptInUnexpectedState if accepts_part else Attempt)
    assert [outcome for _, outcome in resolving.intents.told] == [told[0]]


@pytest.mark.parametrize("accepts_part", [True, False])
async def test_a_part_that_comes_after_the_reversal_is_evidence(
    resolving: Resolving, *, accepts_part: bool
) -> None:
    step = await resolving.recorded(accepts_part=accepts_part)
    resolving.move(UNANSWERED_S)
    reversing = await resolving.reverse(step.attempt)

    told = await resolving.other_resolver.take_late_answer(step.attempt, part(step.attempt))
    await resolving.send_due()
    late = await resolving.other_resolver.take_late_answer(step.attempt, part(step.attempt))

    transaction, after = await resolving.exchange(step.attempt)
    assert told.status is TransactionStatus.PENDING_VERIFICATION
    assert late == transaction
    assert (transaction.status, after.status) == (TransactionStatus.FAILED, AttemptStatus.REVERSED)
    assert (reversing.amount_approved_minor, after.amount_approved_minor) == (None, None)
    assert transaction.amount_captured_minor == 0


async def _crashed(resolving: Resolving, network: str, *, accepts_part: bool) -> Attempt:
    """Return an attempt whose sender died between the network's answer and writing it down."""
    begun = await resolving.process.begun(resolving.caller)
    card = check_card(card_fields(network, "half"), resolving.process.clock.now().date())
    step = a_step(begun, network, accepts_part=accepts_part, pan=card.pan)
    pool = resolving.networks.pools[network]
    with pool.reserve() as reservation:
        trace = reservation.trace
        attempt = replace(
            step.attempt,
            stan=trace.stan,
            rrn=trace.rrn,
            transmitted_at=trace.transmitted_at,
            terminal_id=trace.terminal_id,
        )
        await resolving.process.store.records.submit(replace(step, attempt=attempt))
        until = asyncio.get_running_loop().time() + UNANSWERED_S
        answer = await reservation.authorize(card, Money(AMOUNT_MINOR, "usd"), until, is_hold=False)
    assert (answer.response_code, answer.amount_minor) == ("10", PART)
    resolving.move(UNANSWERED_S)
    return attempt


@pytest.mark.parametrize("accepts_part", [True, False])
async def test_another_process_learns_of_a_part_by_inquiry_when_the_sender_died(
    resolving: Resolving, *, accepts_part: bool
) -> None:
    attempt = await _crashed(resolving, "mastercard_sim", accepts_part=accepts_part)
    service = AttemptService(resolving.other_resolver)
    owned = {"merchant_id": attempt.merchant_id, "attempt_id": attempt.id}

    inquired = await service.InquireAttempt(
        attempt_service_pb2.InquireAttemptRequest(**owned), NO_CONTEXT
    )
    request = attempt_service_pb2.ResolveAttemptRequest(
        **owned,
        resolution=RESOLUTION.succeeded if accepts_part else RESOLUTION.failed,
        answer=inquired.answer,
    )
    await service.ResolveAttempt(request, NO_CONTEXT)

    transaction, after = await resolving.exchange(attempt)
    said = attempt_service_pb2.InquiryOutcomeEnum
    assert inquired.outcome == (said.approved if accepts_part else said.declined)
    assert inquired.answer.currency_number == "840"
    assert (after.amount_approved_minor, transaction.amount_captured_minor) == (
        PART,
        PART if accepts_part else 0,
    )
    assert _undoing(after) == (None if accepts_part else "pending")


@pytest.mark.parametrize("accepts_part", [True, False])
async def test_a_file_settles_a_part_that_is_accepted_and_no_other(
    resolving: Resolving, *, accepts_part: bool
) -> None:
    attempt = await _crashed(resolving, "visa_sim", accepts_part=accepts_part)
    request = attempt_service_pb2.ResolveAttemptRequest(
        merchant_id=attempt.merchant_id,
        attempt_id=attempt.id,
        resolution=RESOLUTION.succeeded,
        answer=attempt_service_pb2.NetworkAnswer(response_code="00", amount_in_cents=PART),
    )
    service = AttemptService(resolving.other_resolver)

    if not accepts_part:
        with pytest.raises(ParameterInvalid):
            await service.ResolveAttempt(request, NO_CONTEXT)
        assert (await resolving.attempt(attempt)).status is AttemptStatus.TIMEOUT
        return
    await service.ResolveAttempt(request, NO_CONTEXT)
    transaction, after = await resolving.exchange(attempt)
    assert (after.status, transaction.amount_captured_minor) == (AttemptStatus.SUCCEEDED, PART)


async def test_an_answer_in_another_currency_is_no_part_also_by_inquiry(
    resolving: Resolving,
) -> None:
    step = await resolving.recorded(accepts_part=True)
    resolving.move(UNANSWERED_S)
    answer = attempt_service_pb2.NetworkAnswer(
        response_code="10", amount_in_cents=PART, currency_number="978"
    )
    request = attempt_service_pb2.ResolveAttemptRequest(
        merchant_id=step.attempt.merchant_id,
        attempt_id=step.attempt.id,
        resolution=RESOLUTION.failed,
        answer=answer,
    )

    await AttemptService(resolving.other_resolver).ResolveAttempt(request, NO_CONTEXT)

    _, after = await resolving.exchange(step.attempt)
    assert (after.status, _undoing(after)) == (AttemptStatus.FAILED, "pending")
    assert after.amount_approved_minor is None


async def test_an_outcome_without_its_amount_is_not_written(resolving: Resolving) -> None:
    step = await resolving.recorded(accepts_part=True)

    approved = Outcome(AttemptEvent.APPROVE, response_code="00")
    with pytest.raises(Exception, match="attempts_check"):
        await resolving.resolver.take_late_answer(step.attempt, approved)

    assert (await resolving.attempt(step.attempt)).status is AttemptStatus.RECORDED
