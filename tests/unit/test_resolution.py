"""Late, missing and contradicting answers: what each does to an exchange, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chassis.networks import ReversalRule
from tests.unit.test_transaction import a_transaction, an_attempt
from txn_svc.domain.attempt import (
    Attempt,
    AttemptEvent,
    AttemptStatus,
    Message,
    Reversal,
    ReversalReason,
    ReversalStatus,
)
from txn_svc.domain.resolution import (
    AttemptInUnexpectedState,
    Exchange,
    acknowledge_reversal,
    address_reversal,
    begin_reversal,
    expire,
    is_undone,
    note,
    resolve,
    retry_reversal,
    take_late_answer,
)
from txn_svc.domain.transaction import (
    NEVER_RECEIVED,
    NO_ANSWER,
    PARTLY_APPROVED,
    UNDONE,
    Outcome,
    Transaction,
    TransactionStatus,
    settle,
)
from txn_svc.handlers.answers import judge
from txn_svc.networks.messages import AuthorizationResponse

GOT = Message("0110", is_sent=False, at=9, response_code="00")
ADVICE = Message("0420", is_sent=True, at=10)
ACKNOWLEDGMENT = Message("0430", is_sent=False, at=11, response_code="00")
APPROVED = judge(AuthorizationResponse("00", 1099, "123456", "T1"), an_attempt(), GOT)
DECLINED = judge(AuthorizationResponse("05", 1099, None, "T1"), an_attempt(), GOT)
PART = judge(AuthorizationResponse("10", 549, "123456", "T1"), an_attempt(), GOT)
DOUBTFUL = judge(AuthorizationResponse("91", None, None, None), an_attempt(), GOT)
NOT_FOUND = Outcome(AttemptEvent.DECLINE, NEVER_RECEIVED)
RULE = ReversalRule(repeat_s=(1, 2), then_every_s=60)
TOO_LATE, TIMED_OUT = ReversalReason.RESPONSE_TOO_LATE, ReversalReason.RESPONSE_TIMEOUT


def recorded() -> Exchange:
    return a_transaction(), an_attempt()


def unanswered() -> Exchange:
    return settle(*recorded(), NO_ANSWER)


def being_reversed() -> Exchange:
    transaction, attempt = unanswered()
    return transaction, begin_reversal(attempt, TIMED_OUT)


def undone() -> Exchange:
    return acknowledge_reversal(*being_reversed(), ACKNOWLEDGMENT)


def settled_as(outcome: Outcome) -> Exchange:
    return resolve(*unanswered(), outcome)


def state(exchange: Exchange) -> tuple[str, str, str | None]:
    """Return what the merchant is told, what the attempt is, and whether it is being undone."""
    transaction, attempt = exchange
    undoing = attempt.reversal.status if attempt.reversal is not None else None
    return transaction.status, attempt.status, undoing


# What an exchange was, the answer that nobody waits for any more, and what both come to.
LATE_ANSWERS = [
    (recorded, APPROVED, ("succeeded", "succeeded", None)),
    (recorded, DECLINED, ("failed", "failed", None)),
    (recorded, PART, ("failed", "failed", "pending")),
    (unanswered, APPROVED, ("succeeded", "succeeded", None)),
    (unanswered, DECLINED, ("failed", "failed", None)),
    (unanswered, PART, ("failed", "failed", "pending")),
    (being_reversed, APPROVED, ("pending_verification", "timeout", "pending")),
    (being_reversed, DECLINED, ("pending_verification", "timeout", "pending")),
    (being_reversed, PART, ("pending_verification", "timeout", "pending")),
    (undone, APPROVED, ("failed", "reversed", "acknowledged")),
    (undone, DECLINED, ("failed", "reversed", "acknowledged")),
    (lambda: settled_as(NOT_FOUND), APPROVED, ("failed", "failed", "pending")),
    (lambda: settled_as(NOT_FOUND), PART, ("failed", "failed", "pending")),
    (lambda: settled_as(NOT_FOUND), DECLINED, ("failed", "failed", None)),
    (lambda: settled_as(DECLINED), APPROVED, ("failed", "failed", "pending")),
    (lambda: settled_as(PART), APPROVED, ("failed", "failed", "pending")),
    (lambda: settled_as(APPROVED), APPROVED, ("succeeded", "succeeded", None)),
    (lambda: settled_as(APPROVED), DECLINED, ("succeeded", "succeeded", None)),
    (lambda: settled_as(APPROVED), PART, ("succeeded", "succeeded", None)),
]


@pytest.mark.parametrize(("before", "answer", "after"), LATE_ANSWERS)
def test_a_late_answer_settles_what_is_open_and_flips_nothing(
    before: Callable[[], Exchange], answer: Outcome, after: tuple[str, str, str | None]
) -> None:
    transaction, attempt = before()

    taken = take_late_answer(transaction, attempt, answer)

    assert state(taken) == after
    assert taken[1].messages == (*attempt.messages, *answer.messages)
    assert taken[1].version == attempt.version + 1


@pytest.mark.parametrize("before", [recorded, unanswered, being_reversed, undone])
def test_an_answer_that_says_nothing_certain_is_only_kept(before: Callable[[], Exchange]) -> None:
    transaction, attempt = before()

    taken = take_late_answer(transaction, attempt, DOUBTFUL)

    assert taken == (transaction, note(attempt, GOT))


@pytest.mark.parametrize("outcome", [NOT_FOUND, DECLINED])
def test_an_approval_of_what_was_told_failed_is_undone_because_it_came_too_late(
    outcome: Outcome,
) -> None:
    _, attempt = take_late_answer(*settled_as(outcome), APPROVED)

    assert attempt.reversal == Reversal(TOO_LATE)


def test_a_second_approval_of_what_was_told_failed_begins_no_second_reversal() -> None:
    once = take_late_answer(*settled_as(NOT_FOUND), APPROVED)
    addressed = address_reversal(once[1], "000009", "1124120009", "P0000001")

    _, twice = take_late_answer(once[0], addressed, APPROVED)

    assert twice.reversal == addressed.reversal


def test_an_undone_approval_that_was_too_late_leaves_the_attempt_failed() -> None:
    late = take_late_answer(*settled_as(NOT_FOUND), APPROVED)

    done = acknowledge_reversal(*late, ACKNOWLEDGMENT)

    assert state(done) == ("failed", "failed", "acknowledged")
    assert done[0].failure == NEVER_RECEIVED


def test_a_partial_approval_in_time_fails_and_is_undone() -> None:
    transaction, attempt = settle(*recorded(), PART)

    assert state((transaction, attempt)) == ("failed", "failed", "pending")
    assert transaction.failure == PARTLY_APPROVED
    assert attempt.reversal == Reversal(ReversalReason.INVALID_RESPONSE)


def test_a_timeout_after_the_answer_changes_nothing() -> None:
    answered = take_late_answer(*recorded(), APPROVED)

    assert expire(*answered, now=1000, wish="asked about") == answered


@pytest.mark.parametrize("now", [0.0, 2.9, 3.0])
def test_an_attempt_is_not_unanswered_before_its_deadline_is_over(now: float) -> None:
    with pytest.raises(AttemptInUnexpectedState):
        expire(*recorded(), now=now, wish="asked about")


def test_an_attempt_past_its_deadline_is_unanswered_whoever_waits_for_the_answer() -> None:
    assert expire(*recorded(), now=3.1, wish="asked about") == unanswered()
    assert expire(*undone(), now=3.1, wish="asked about") == undone()


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        (APPROVED, ("succeeded", "succeeded", None)),
        (DECLINED, ("failed", "failed", None)),
        (NOT_FOUND, ("failed", "failed", None)),
        (PART, ("failed", "failed", "pending")),
    ],
)
def test_an_inquiry_settles_what_is_unanswered_and_again_changes_nothing(
    outcome: Outcome, after: tuple[str, str, str | None]
) -> None:
    once = resolve(*unanswered(), outcome)

    assert state(once) == after
    assert resolve(*once, outcome) == once


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        (recorded, APPROVED),
        (being_reversed, APPROVED),
        (being_reversed, DECLINED),
        (undone, APPROVED),
        (undone, DECLINED),
        (lambda: settled_as(APPROVED), DECLINED),
        (lambda: settled_as(DECLINED), APPROVED),
        (lambda: settled_as(NOT_FOUND), APPROVED),
    ],
)
def test_an_inquiry_settles_nothing_that_is_on_its_way_or_came_to_something_else(
    before: Callable[[], Exchange], outcome: Outcome
) -> None:
    with pytest.raises(AttemptInUnexpectedState):
        resolve(*before(), outcome)


def test_a_reversal_begins_once_and_keeps_its_first_reason() -> None:
    _, attempt = being_reversed()

    assert begin_reversal(attempt, TOO_LATE) is attempt
    assert attempt.reversal == Reversal(TIMED_OUT)
    assert begin_reversal(undone()[1], TOO_LATE) == undone()[1]


@pytest.mark.parametrize("outcome", [APPROVED, DECLINED, NOT_FOUND])
def test_what_came_to_something_is_not_undone_for_want_of_an_answer(outcome: Outcome) -> None:
    with pytest.raises(AttemptInUnexpectedState):
        begin_reversal(settled_as(outcome)[1], TIMED_OUT)
    with pytest.raises(AttemptInUnexpectedState):
        begin_reversal(recorded()[1], TIMED_OUT)


def test_an_acknowledged_reversal_fails_the_transaction_and_a_second_one_is_evidence() -> None:
    transaction, attempt = undone()

    again = acknowledge_reversal(transaction, attempt, ACKNOWLEDGMENT)

    assert state((transaction, attempt)) == ("failed", "reversed", "acknowledged")
    assert transaction.failure == UNDONE
    assert is_undone(attempt)
    assert again == (transaction, note(attempt, ACKNOWLEDGMENT))


def test_a_late_approval_is_the_same_before_and_after_the_acknowledgment() -> None:
    before = acknowledge_reversal(*take_late_answer(*being_reversed(), APPROVED), ACKNOWLEDGMENT)
    after = take_late_answer(*acknowledge_reversal(*being_reversed(), ACKNOWLEDGMENT), APPROVED)

    assert state(before) == state(after) == ("failed", "reversed", "acknowledged")
    assert set(before[1].messages) == set(after[1].messages)


@pytest.mark.parametrize(
    "step",
    [
        acknowledge_reversal,
        lambda _, attempt: address_reversal(attempt, "000009", "1124120009", "P0000001"),
        lambda _, attempt: retry_reversal(attempt, RULE, 10),
    ],
    ids=["acknowledge", "address", "retry"],
)
def test_what_is_not_being_reversed_takes_no_step_of_a_reversal(
    step: Callable[[Transaction, Attempt], object],
) -> None:
    with pytest.raises(AttemptInUnexpectedState):
        step(*unanswered())


def test_an_advice_keeps_its_name_and_is_repeated_by_the_schedule_for_ever() -> None:
    _, attempt = being_reversed()
    attempt = address_reversal(attempt, "000009", "1124120009", "P0000001")

    seen = []
    for now in (100.0, 200.0, 300.0, 400.0):
        attempt = retry_reversal(attempt, RULE, now, ADVICE)
        assert attempt.reversal is not None
        assert attempt.reversal.stan == "000009"
        seen.append((attempt.reversal.due - now, attempt.reversal.tries, attempt.reversal.status))

    assert seen == [
        (1, 1, ReversalStatus.PENDING),
        (2, 2, ReversalStatus.PENDING),
        (60, 3, ReversalStatus.OVERDUE),
        (60, 4, ReversalStatus.OVERDUE),
    ]
    assert attempt.messages == (ADVICE,) * 4


def test_an_overdue_reversal_can_still_be_acknowledged() -> None:
    transaction, attempt = being_reversed()
    for now in (100.0, 200.0, 300.0):
        attempt = retry_reversal(attempt, RULE, now, ADVICE)

    done = acknowledge_reversal(transaction, attempt, ACKNOWLEDGMENT)

    assert state(done) == ("failed", "reversed", "acknowledged")


def test_a_try_without_an_answer_leaves_acknowledged_what_was_acknowledged_meanwhile() -> None:
    transaction, attempt = undone()

    tried = retry_reversal(attempt, RULE, 100, ADVICE)

    assert tried == note(attempt, ADVICE)
    assert (transaction.status, tried.status) == (TransactionStatus.FAILED, AttemptStatus.REVERSED)


def test_notes_keep_the_order_of_messages_and_count_as_changes() -> None:
    attempt = an_attempt()

    noted: Attempt = note(note(attempt, ADVICE), ACKNOWLEDGMENT, GOT)

    assert noted.messages == (ADVICE, ACKNOWLEDGMENT, GOT)
    assert noted.version == attempt.version + 2
    assert replace(noted, messages=(), version=attempt.version) == attempt
