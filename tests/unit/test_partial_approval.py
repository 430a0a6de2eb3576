"""An approval of only a part of the amount: taken where the intent accepts it, else undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paymesh.intent.v1 import payment_intent_pb2

from tests.unit.test_resolution import (
    ACKNOWLEDGMENT,
    APPROVED,
    DECLINED,
    GOT,
    NOT_FOUND,
    TIMED_OUT,
    state,
)
from tests.unit.test_transaction import a_transaction, an_attempt
from txn_svc.domain.attempt import (
    Attempt,
    AttemptEvent,
    AttemptKind,
    AttemptStatus,
    ReversalReason,
)
from txn_svc.domain.capture import begin_void, check_capture
from txn_svc.domain.decline import APPROVED as APPROVED_CODES
from txn_svc.domain.resolution import (
    AttemptInUnexpectedState,
    Exchange,
    acknowledge_reversal,
    begin_reversal,
    resolve,
    take_late_answer,
)
from txn_svc.domain.transaction import (
    NO_ANSWER,
    OTHERWISE_APPROVED,
    PARTLY_APPROVED,
    TransactionStatus,
    settle,
)
from txn_svc.handlers.answers import judge
from txn_svc.messages import attempt_message, transaction_message
from txn_svc.networks.messages import AuthorizationResponse, authorization_response

ASKED, PART = 1099, 549
LAPSES = 1_000_000
UNDO = ReversalReason.INVALID_RESPONSE
APPROVE, DECLINE, UNKNOWN = AttemptEvent.APPROVE, AttemptEvent.DECLINE, AttemptEvent.NO_ANSWER


def accepting(attempt: Attempt | None = None) -> Attempt:
    return replace(attempt or an_attempt(), accepts_part=True)


def answer(code: str, amount: int | None, number: str | None = "840") -> AuthorizationResponse:
    return AuthorizationResponse(code, amount, "123456", "T1", number)


# Of 10.99 usd: code, amount and currency of the answer; what it comes to for an intent that accepts
# a part: the event, what is approved, and why it is undone; and the same for one that refuses it.
ANSWERS = [
    (("00", PART), (APPROVE, PART, None), (DECLINE, PART, UNDO)),
    (("10", PART), (APPROVE, PART, None), (DECLINE, PART, UNDO)),
    (("10", 1), (APPROVE, 1, None), (DECLINE, 1, UNDO)),
    (("10", ASKED - 1), (APPROVE, ASKED - 1, None), (DECLINE, ASKED - 1, UNDO)),
    (("10", PART, None), (APPROVE, PART, None), (DECLINE, PART, UNDO)),
    *(
        ((*said, number), came_to, came_to)
        for number in ("840", None)
        for said, came_to in (
            (("00", ASKED), (APPROVE, ASKED, None)),
            (("00", None), (APPROVE, ASKED, None)),
            (("00", ASKED + 1), (DECLINE, None, UNDO)),
            (("10", ASKED + 1), (DECLINE, None, UNDO)),
            (("10", 999_999_999_999), (DECLINE, None, UNDO)),
            (("00", 0), (DECLINE, None, UNDO)),
            (("10", 0), (DECLINE, None, UNDO)),
            (("10", ASKED), (UNKNOWN, None, None)),
            (("10", None), (UNKNOWN, None, None)),
            (("91", PART), (UNKNOWN, None, None)),
            (("05", PART), (DECLINE, None, None)),
        )
    ),
    (("10", PART, "978"), (DECLINE, None, UNDO), (DECLINE, None, UNDO)),
    (("00", PART, "978"), (DECLINE, None, UNDO), (DECLINE, None, UNDO)),
    (("10", PART, "???"), (DECLINE, None, UNDO), (DECLINE, None, UNDO)),
    (("00", ASKED, "978"), (DECLINE, None, UNDO), (DECLINE, None, UNDO)),
    (("00", None, "978"), (DECLINE, None, UNDO), (DECLINE, None, UNDO)),
    (("10", ASKED, "978"), (DECLINE, None, UNDO), (DECLINE, None, UNDO)),
]


@pytest.mark.parametrize(("said", "accepted", "refused"), ANSWERS)
def test_an_answer_comes_to_what_the_intent_says_of_parts(
    said: tuple[str, int | None], accepted: object, refused: object
) -> None:
    for attempt, expected in ((accepting(), accepted), (an_attempt(), refused)):
        outcome = judge(answer(*said), attempt)

        assert (outcome.event, outcome.amount_approved_minor, outcome.undo) == expected
        undone = PARTLY_APPROVED if outcome.amount_approved_minor else OTHERWISE_APPROVED
        assert (outcome.failure is undone) == (outcome.undo is UNDO)


@given(
    code=st.from_regex(r"[0-9A-Z]{2}", fullmatch=True),
    amount=st.none() | st.integers(0, 999_999_999_999),
    accepts_part=st.booleans(),
)
def test_never_more_is_charged_than_was_asked_for(
    code: str, amount: int | None, *, accepts_part: bool
) -> None:
    attempt = replace(an_attempt(), accepts_part=accepts_part)

    outcome = judge(answer(code, amount), attempt)

    approved = outcome.amount_approved_minor
    assert approved is None or 0 < approved <= ASKED
    if outcome.event is AttemptEvent.APPROVE:
        assert code in {*APPROVED_CODES, "10"}
        assert approved == (ASKED if amount is None else amount)
        assert accepts_part or approved == ASKED
        charged, _ = settle(a_transaction(), attempt, outcome)
        assert charged.amount_captured_minor == approved


def test_the_currency_of_an_answer_is_read() -> None:
    read = authorization_response({"39": "10", "4": "000000000549", "49": "978"})

    assert (read.amount_minor, read.currency_number) == (PART, "978")


@pytest.mark.parametrize("capture_before", [None, LAPSES], ids=["at once", "held"])
def test_an_accepted_part_is_collected_or_held(capture_before: int | None) -> None:
    attempt = replace(accepting(), capture_before=capture_before)

    transaction, settled = settle(a_transaction(), attempt, judge(answer("10", PART), attempt))

    assert state((transaction, settled)) == ("succeeded", "succeeded", None)
    assert (settled.amount_minor, settled.amount_approved_minor) == (ASKED, PART)
    assert (transaction.amount_minor, transaction.amount_approved_minor) == (ASKED, PART)
    assert transaction.amount_captured_minor == (0 if capture_before else PART)


def test_a_refused_part_is_evidence_and_nothing_of_the_transaction() -> None:
    refused = judge(answer("10", PART), an_attempt())

    transaction, attempt = settle(a_transaction(), an_attempt(), refused)

    assert transaction.amount_approved_minor is None
    assert transaction.amount_captured_minor == 0
    assert attempt.amount_approved_minor == PART


def _recorded() -> Exchange:
    return a_transaction(), accepting()


def _unanswered() -> Exchange:
    return settle(*_recorded(), NO_ANSWER)


def _being_reversed() -> Exchange:
    transaction, attempt = _unanswered()
    return transaction, begin_reversal(attempt, TIMED_OUT)


ACCEPTED = judge(answer("10", PART), accepting(), GOT)

# What an exchange was whose intent accepts a part, what both come to when the approval of one is
# late, and what of the attempt is approved then.
LATE_PARTS = [
    (_recorded, ("succeeded", "succeeded", None), PART),
    (_unanswered, ("succeeded", "succeeded", None), PART),
    (_being_reversed, ("pending_verification", "timeout", "pending"), None),
    (
        lambda: acknowledge_reversal(*_being_reversed(), ACKNOWLEDGMENT),
        ("failed", "reversed", "acknowledged"),
        None,
    ),
    (lambda: resolve(*_unanswered(), NOT_FOUND), ("failed", "failed", "pending"), PART),
    (lambda: resolve(*_unanswered(), DECLINED), ("failed", "failed", "pending"), PART),
    (lambda: resolve(*_unanswered(), ACCEPTED), ("succeeded", "succeeded", None), PART),
    (lambda: resolve(*_unanswered(), APPROVED), ("succeeded", "succeeded", None), ASKED),
]


@pytest.mark.parametrize(("was", "expected", "approved"), LATE_PARTS)
def test_a_late_approval_of_a_part_settles_by_the_rule_of_any_late_answer(
    was: Callable[[], Exchange], expected: tuple[str, str, str | None], approved: int | None
) -> None:
    after = take_late_answer(*was(), ACCEPTED)

    assert state(after) == expected
    transaction, attempt = after
    assert attempt.amount_approved_minor == approved
    is_charged = transaction.status is TransactionStatus.SUCCEEDED
    assert transaction.amount_captured_minor == (approved if is_charged else 0)


def test_an_undone_attempt_keeps_what_its_reversal_said() -> None:
    late = take_late_answer(*resolve(*_unanswered(), NOT_FOUND), ACCEPTED)

    _, undone = acknowledge_reversal(*late, ACKNOWLEDGMENT)

    assert undone.amount_approved_minor == late[1].amount_approved_minor == PART


def test_a_replay_of_an_unknown_outcome_does_not_show_what_was_approved_since() -> None:
    unknown = _unanswered()

    resolved, _ = resolve(*unknown, ACCEPTED)

    assert resolved.amount_approved_minor == PART
    assert resolved.as_first_answered() == unknown[0]


def test_no_more_is_captured_than_was_approved() -> None:
    recorded = replace(accepting(), capture_before=LAPSES)
    _, held = settle(a_transaction(), recorded, ACCEPTED)

    check_capture(held, [], 1, PART)
    with pytest.raises(AttemptInUnexpectedState):
        check_capture(held, [], 1, PART + 1)
    assert begin_void(held, [], 1).amount_approved_minor == PART


def test_transactions_attempts_and_their_events_tell_what_was_approved() -> None:
    transaction, attempt = settle(*_recorded(), ACCEPTED)
    capture = replace(
        attempt, kind=AttemptKind.CAPTURE, accepts_part=False, amount_approved_minor=None
    )

    parts = payment_intent_pb2.PartialApprovalEnum
    assert transaction_message(transaction).amount_approved_in_cents == PART
    told = attempt_message(attempt)
    assert (told.amount_in_cents, told.amount_approved_in_cents) == (ASKED, PART)
    assert told.partial_approval == parts.accepted
    unanswered = attempt_message(an_attempt(AttemptStatus.TIMEOUT))
    assert unanswered.partial_approval == parts.refused
    assert not unanswered.HasField("amount_approved_in_cents")
    assert not transaction_message(a_transaction()).HasField("amount_approved_in_cents")
    for name in ("partial_approval", "amount_approved_in_cents"):
        assert not attempt_message(capture).HasField(name)
