"""Attempts without an answer: asked about, settled and undone by two processes, over networks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from chassis.errors import ResourceMissing
from tests.integration.network_parts import NETWORKS
from tests.integration.races import race
from tests.integration.resolution_parts import TIMED_OUT, UNANSWERED_S, Resolving, said
from tests.integration.txn_parts import AMOUNT_MINOR, HOLD_ATTEMPT
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptStatus, ReversalStatus
from txn_svc.domain.resolution import AttemptInUnexpectedState
from txn_svc.domain.transaction import NEVER_RECEIVED, Outcome, TransactionStatus
from txn_svc.handlers.answers import judge
from txn_svc.handlers.attempts import InquiryNotOffered
from txn_svc.networks.messages import AuthorizationResponse

pytestmark = pytest.mark.integration

SUCCEEDED, FAILED = 1, 3  # as the contract numbers outcomes
APPROVAL = AuthorizationResponse("00", AMOUNT_MINOR, "123456", "T1")
DECLINE = AuthorizationResponse("05", AMOUNT_MINOR, None, "T1")


def approved(attempt: Attempt) -> Outcome:
    return judge(APPROVAL, attempt)


def declined(attempt: Attempt) -> Outcome:
    return judge(DECLINE, attempt)


def never_received(_: Attempt) -> Outcome:
    return Outcome(AttemptEvent.DECLINE, NEVER_RECEIVED)


@pytest.mark.parametrize(
    "call",
    [
        lambda resolver, *owned: resolver.inquire(*owned),
        lambda resolver, *owned: resolver.resolve(*owned, approved),
        lambda resolver, *owned: resolver.reverse(*owned, TIMED_OUT),
    ],
    ids=["inquire", "resolve", "reverse"],
)
async def test_nothing_is_done_about_an_attempt_whose_deadline_is_not_over(
    resolving: Resolving, call: Callable[..., Awaitable[object]]
) -> None:
    step = await resolving.recorded("mastercard_sim")
    owned = (step.attempt.merchant_id, step.attempt.id)
    resolving.move(step.attempt.deadline - resolving.process.clock.now().timestamp())

    with pytest.raises(AttemptInUnexpectedState):
        await call(resolving.resolver, *owned)

    assert await resolving.attempt(step.attempt) == step.attempt
    assert resolving.intents.told == []


async def test_an_attempt_that_nobody_has_is_missing(resolving: Resolving) -> None:
    step = await resolving.recorded()

    for owned in (("mer_2", step.attempt.id), (step.attempt.merchant_id, "att_2"), ("", "")):
        with pytest.raises(ResourceMissing):
            await resolving.resolver.inquire(*owned)


@pytest.mark.parametrize(
    ("behavior", "event", "code"),
    [
        ("answer lost", AttemptEvent.APPROVE, "00"),
        ("decline lost", AttemptEvent.DECLINE, "05"),
        ("never received", None, "25"),
    ],
)
async def test_an_inquiry_says_what_became_of_an_attempt_and_settles_nothing(
    resolving: Resolving, behavior: str, event: AttemptEvent | None, code: str
) -> None:
    attempt = await resolving.charged("mastercard_sim", behavior)

    outcome, response = await resolving.resolver.inquire(attempt.merchant_id, attempt.id)
    again, _ = await resolving.other_resolver.inquire(attempt.merchant_id, attempt.id)

    after = await resolving.attempt(attempt)
    assert (outcome and outcome.event, response and response.response_code) == (event, code)
    assert (again and again.event) == event
    assert after.status is AttemptStatus.TIMEOUT
    assert said(after) == [("0100", None), *[("0100", None), ("0110", code)] * 2]
    assert after.version == attempt.version + 2
    assert resolving.intents.told == []
    assert await resolving.history(attempt) == ["recorded", "timeout"]


async def test_an_inquiry_without_an_answer_says_so_and_is_kept(resolving: Resolving) -> None:
    attempt = await resolving.charged("mastercard_sim", "three answers lost")

    outcome, response = await resolving.resolver.inquire(attempt.merchant_id, attempt.id)

    assert outcome is not None
    assert (outcome.event, response) == (AttemptEvent.NO_ANSWER, None)
    assert said(await resolving.attempt(attempt)) == [("0100", None)] * 2


async def test_a_network_that_can_not_be_asked_is_not_asked(resolving: Resolving) -> None:
    step = await resolving.recorded("visa_sim")
    resolving.move(UNANSWERED_S)

    with pytest.raises(InquiryNotOffered):
        await resolving.resolver.inquire(step.attempt.merchant_id, step.attempt.id)

    after = await resolving.attempt(step.attempt)
    assert (after.status, after.messages) == (AttemptStatus.TIMEOUT, ())


@pytest.mark.parametrize(
    ("judged", "status", "told"),
    [
        (approved, TransactionStatus.SUCCEEDED, SUCCEEDED),
        (declined, TransactionStatus.FAILED, FAILED),
        (never_received, TransactionStatus.FAILED, FAILED),
    ],
)
async def test_an_attempt_is_settled_once_however_often_it_is_asked_for(
    resolving: Resolving, judged: object, status: TransactionStatus, told: int
) -> None:
    assert callable(judged)
    step = await resolving.recorded()
    owned = (step.attempt.merchant_id, step.attempt.id)
    resolving.move(UNANSWERED_S)

    first = await resolving.resolver.resolve(*owned, judged)
    again = [
        await resolver.resolve(*owned, judged)
        for resolver in (resolving.resolver, resolving.other_resolver)
    ]

    transaction, attempt = await resolving.exchange(step.attempt)
    assert again == [first, first] == [attempt, attempt]
    assert transaction.status is status
    assert transaction.as_first_answered().status is TransactionStatus.PENDING_VERIFICATION
    assert resolving.intents.told == [(step.transaction.id, told)]
    assert await resolving.history(attempt) == ["recorded", "timeout", "resolved"]


async def test_what_is_settled_is_not_settled_otherwise(resolving: Resolving) -> None:
    step = await resolving.recorded()
    owned = (step.attempt.merchant_id, step.attempt.id)
    resolving.move(UNANSWERED_S)
    settled = await resolving.resolver.resolve(*owned, approved)

    with pytest.raises(AttemptInUnexpectedState):
        await resolving.other_resolver.resolve(*owned, declined)
    with pytest.raises(AttemptInUnexpectedState):
        await resolving.other_resolver.reverse(*owned, TIMED_OUT)

    assert await resolving.attempt(step.attempt) == settled


async def test_a_reversal_begins_once_and_then_nothing_else_settles_the_attempt(
    resolving: Resolving,
) -> None:
    step = await resolving.recorded()
    owned = (step.attempt.merchant_id, step.attempt.id)
    resolving.move(UNANSWERED_S)

    first = await resolving.resolver.reverse(*owned, TIMED_OUT)
    again = await resolving.other_resolver.reverse(*owned, TIMED_OUT)
    with pytest.raises(AttemptInUnexpectedState):
        await resolving.other_resolver.resolve(*owned, approved)

    assert first == again
    assert first.reversal is not None
    assert first.reversal.status is ReversalStatus.PENDING
    assert await resolving.history(first) == ["recorded", "timeout", "timeout"]
    assert resolving.intents.told == []


async def _race(resolving: Resolving, attempt: Attempt, *judged: object) -> list[object]:
    """Let both processes come to the attempt's row; no outcome to judge by: reverse it."""
    calls = []
    for resolver, how in zip((resolving.resolver, resolving.other_resolver), judged, strict=True):
        owned = (attempt.merchant_id, attempt.id)
        calls.append(
            resolver.resolve(*owned, how) if callable(how) else resolver.reverse(*owned, TIMED_OUT)
        )
    results: list[object] = list(
        await race(resolving.process.database, HOLD_ATTEMPT, *calls, id=attempt.id)
    )
    return results


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (approved, None, TransactionStatus.SUCCEEDED),
        (None, approved, TransactionStatus.PENDING_VERIFICATION),
        (approved, declined, TransactionStatus.SUCCEEDED),
        (declined, approved, TransactionStatus.FAILED),
    ],
    ids=["settle, undo", "undo, settle", "approve, decline", "decline, approve"],
)
async def test_of_two_processes_that_decide_otherwise_the_first_wins(
    resolving: Resolving, first: object, second: object, status: TransactionStatus
) -> None:
    step = await resolving.recorded()
    resolving.move(UNANSWERED_S)
    with pytest.raises(InquiryNotOffered):  # lets the attempt become unanswered
        await resolving.resolver.inquire(step.attempt.merchant_id, step.attempt.id)

    won, lost = await _race(resolving, step.attempt, first, second)

    transaction, attempt = await resolving.exchange(step.attempt)
    assert won == attempt
    assert isinstance(lost, AttemptInUnexpectedState)
    assert transaction.status is status
    assert len(resolving.intents.told) == (status is not TransactionStatus.PENDING_VERIFICATION)


@pytest.mark.parametrize("how", [approved, None], ids=["settle", "undo"])
async def test_two_processes_that_decide_the_same_change_it_once(
    resolving: Resolving, how: object
) -> None:
    step = await resolving.recorded()
    resolving.move(UNANSWERED_S)

    results = await _race(resolving, step.attempt, how, how)

    attempt = await resolving.attempt(step.attempt)
    assert results == [attempt, attempt]
    assert attempt.version == 3
    assert len(resolving.intents.told) == (how is approved)


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_partial_approval_in_time_is_undone_and_nothing_is_charged(
    resolving: Resolving, network: str
) -> None:
    attempt = await resolving.charged(network, "half")
    before = await resolving.book(attempt)

    await resolving.send_due()

    transaction, after = await resolving.exchange(attempt)
    book = await resolving.book(attempt)
    assert (before["approved"], before["reversed"]) == (True, False)
    assert (book["approved"], book["reversed"]) == (True, True)
    assert transaction.status is TransactionStatus.FAILED
    assert after.status is AttemptStatus.FAILED
    assert said(after)[-2:] == [("0420", None), ("0430", "00")]
    assert await resolving.history(attempt) == ["recorded", "failed", "reversed"]
    assert resolving.intents.told == [(transaction.id, FAILED)]


async def test_a_frozen_sender_writes_nothing_onto_the_wire_after_its_deadline(
    resolving: Resolving,
) -> None:
    pool = resolving.networks.pools["visa_sim"]
    rules = pool.rules
    # Its deadline is over a microsecond after it was set, which is before the write.
    resolving.move(0.999999)
    pool.rules = rules.model_copy(update={"timeout_s": 1e-9})
    try:
        attempt = await resolving.charged("visa_sim", "approved")
    finally:
        pool.rules = rules

    transaction, attempt = await resolving.exchange(attempt)
    books = [row["rrn"] for row in await resolving.networks.simulators["visa_sim"].ledger()]
    assert attempt.rrn not in books
    assert (transaction.status, attempt.messages) == (TransactionStatus.FAILED, ())
    assert resolving.intents.told == [(transaction.id, FAILED)]


async def test_an_answer_whose_attempt_others_undo_meanwhile_is_evidence(
    resolving: Resolving,
) -> None:
    step = await resolving.recorded()
    resolving.move(UNANSWERED_S)
    reversing = await resolving.reverse(step.attempt)

    told = await resolving.other_resolver.take_late_answer(step.attempt, approved(step.attempt))

    after = await resolving.attempt(step.attempt)
    assert told.status is TransactionStatus.PENDING_VERIFICATION
    assert after == replace(reversing, version=reversing.version + 1)
