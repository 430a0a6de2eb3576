"""Held funds as txn_svc captures and releases them: one of both, and only what is certain."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest

from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId
from chassis.money import Money
from chassis.networks import ReversalRule
from recon_svc.domain import resolution as recon
from tests.unit.test_transaction import a_transaction, an_attempt
from txn_svc.domain import capture as rules
from txn_svc.domain import resolution
from txn_svc.domain.attempt import (
    ATTEMPT_TRANSITIONS,
    CAPTURE_TRANSITIONS,
    Attempt,
    AttemptEvent,
    AttemptKind,
    AttemptStatus,
    Message,
    Reversal,
    ReversalReason,
    event_type,
)
from txn_svc.domain.resolution import AttemptInUnexpectedState
from txn_svc.domain.transaction import Outcome, Transaction, TransactionStatus, settle
from txn_svc.handlers.answers import judge_capture
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.messages import ReversalAdvice, Trace, pack_reversal, unpack

NOW, LAPSES = 10, 1_000_000
RULE = ReversalRule(repeat_s=(1, 2), then_every_s=60)
REFUSED = Message("0230", is_sent=False, at=2, response_code="05")
ACKNOWLEDGED = Message("0230", is_sent=False, at=2, response_code="00")
SENT = Message("0220", is_sent=True, at=1)
HELD = replace(
    an_attempt(AttemptStatus.SUCCEEDED), capture_before=LAPSES, amount_approved_minor=1099
)
PAID: Transaction = replace(
    a_transaction(TransactionStatus.SUCCEEDED), capture_before=LAPSES, amount_captured_minor=0
)


def a_capture(status: AttemptStatus = AttemptStatus.RECORDED, amount: int = 500) -> Attempt:
    return replace(
        an_attempt(status),
        kind=AttemptKind.CAPTURE,
        amount_minor=amount,
        advice_due=3.0,
        capture_number=1,
    )


def test_an_approval_of_a_hold_moves_no_money() -> None:
    recorded = replace(an_attempt(), capture_before=LAPSES)
    approved = Outcome(AttemptEvent.APPROVE, response_code="00", amount_approved_minor=1099)

    held, _ = settle(a_transaction(), recorded, approved)
    paid, _ = settle(a_transaction(), an_attempt(), approved)

    assert (held.status, held.amount_captured_minor) == (TransactionStatus.SUCCEEDED, 0)
    assert (held.amount_minor, held.capture_before) == (1099, LAPSES)
    assert (paid.amount_captured_minor, paid.capture_before) == (1099, None)


@pytest.mark.parametrize(("status", "event"), list(product(AttemptStatus, AttemptEvent)))
def test_a_capture_moves_by_its_table_or_not_at_all(
    status: AttemptStatus, event: AttemptEvent
) -> None:
    then = CAPTURE_TRANSITIONS.get((status, event))
    capture = a_capture(status)

    if event is AttemptEvent.APPROVE and then is not None:
        transaction, moved = rules.acknowledge(PAID, capture, ACKNOWLEDGED)
        assert (moved.status, moved.advice_due) == (then, None)
        assert transaction.amount_captured_minor == 500
    elif event is AttemptEvent.DECLINE and then is not None:
        moved = rules.refuse(capture, REFUSED)
        assert (moved.status, moved.advice_due, moved.response_code) == (then, None, "05")
    elif event is AttemptEvent.NO_ANSWER and then is not None:
        moved = rules.repeat(capture, RULE, 10, SENT)
        assert (moved.status, moved.advice_due, moved.advice_tries) == (then, 11, 1)
    else:
        assert then is None
    assert then is None or then is status or ATTEMPT_TRANSITIONS[status, event] is then


def test_nothing_undoes_a_capture_or_its_refusal() -> None:
    assert AttemptStatus.REVERSED not in CAPTURE_TRANSITIONS.values()
    assert not [event for was, event in CAPTURE_TRANSITIONS if was in rules.SETTLED]


@pytest.mark.parametrize("is_refused_first", [True, False])
def test_of_a_refusal_and_an_acknowledgment_the_first_counts(*, is_refused_first: bool) -> None:
    unknown = rules.repeat(a_capture(), RULE, 10, SENT)
    if is_refused_first:
        first = rules.refuse(unknown, REFUSED)
        transaction, second = rules.acknowledge(PAID, first, ACKNOWLEDGED)
        assert transaction is PAID
    else:
        _, first = rules.acknowledge(PAID, unknown, ACKNOWLEDGED)
        second = rules.refuse(first, REFUSED)

    status = AttemptStatus.FAILED if is_refused_first else AttemptStatus.SUCCEEDED
    assert (first.status, second.status, second.advice_due) == (status, status, None)
    assert event_type(unknown, first) == "attempt.resolved"
    assert event_type(first, second) is None
    assert rules.repeat(second, RULE, 20, SENT).status is status


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("00", AttemptEvent.APPROVE),
        *((code, AttemptEvent.DECLINE) for code in ("05", "12", "13", "R1", "54")),
        *(
            (code, AttemptEvent.NO_ANSWER)
            for code in ("", "25", "68", "91", "94", "96", "10", "ZZ")
        ),
    ],
)
def test_only_a_code_that_says_so_refuses_a_capture(code: str, event: AttemptEvent) -> None:
    assert judge_capture(code) is event


def test_an_acknowledgment_that_comes_twice_or_after_a_timeout_counts_once() -> None:
    unknown = rules.repeat(a_capture(), RULE, 10, SENT)

    transaction, done = rules.acknowledge(PAID, unknown, ACKNOWLEDGED)
    again, noted = rules.acknowledge(transaction, done, ACKNOWLEDGED)
    late = rules.repeat(done, RULE, 20, SENT)

    assert event_type(unknown, done) == "attempt.resolved"
    assert again is transaction
    assert noted.status is late.status is AttemptStatus.SUCCEEDED
    assert late.advice_due is None
    assert event_type(done, noted) is event_type(done, late) is None


def test_a_capture_is_repeated_after_the_network_s_pauses_and_then_slowly_for_ever() -> None:
    capture, pauses = a_capture(), []
    for _ in range(4):
        capture = rules.repeat(capture, RULE, 10, SENT)
        pauses.append((capture.advice_due or 0) - 10)

    assert pauses == [1, 2, 60, 60]


def test_a_capture_past_the_network_s_schedule_is_overdue_until_it_is_acknowledged() -> None:
    tries = [a_capture()]
    for now in (10, 20, 30, 40):
        tries.append(rules.repeat(tries[-1], RULE, now, SENT))
    _, done = rules.acknowledge(PAID, tries[-1], ACKNOWLEDGED)

    assert [capture.overdue_since for capture in (*tries, done)] == [None, None, None, 30, 30, None]
    assert [event_type(was, now) for was, now in pairwise([*tries, done])] == [
        *("attempt.timeout", None, "attempt.timeout", None),
        "attempt.resolved",
    ]


@pytest.mark.parametrize(
    "authorization",
    [
        *(
            replace(an_attempt(status), capture_before=LAPSES)
            for status in AttemptStatus
            if status is not AttemptStatus.SUCCEEDED
        ),
        an_attempt(AttemptStatus.SUCCEEDED),
        replace(HELD, reversal=Reversal(ReversalReason.CUSTOMER_CANCELLATION)),
    ],
    ids=lambda attempt: f"{attempt.status}-{attempt.capture_before}-{attempt.reversal is None}",
)
def test_only_what_is_held_is_captured_or_released(authorization: Attempt) -> None:
    with pytest.raises(AttemptInUnexpectedState):
        rules.check_capture(authorization, [], 1, 1)
    if authorization.reversal is None:
        with pytest.raises(AttemptInUnexpectedState):
            rules.begin_void(authorization, [], NOW)


@pytest.mark.parametrize("amount", [0, 1100])
def test_at_most_what_is_held_is_captured(amount: int) -> None:
    with pytest.raises(AttemptInUnexpectedState):
        rules.check_capture(HELD, [], 1, amount)


@pytest.mark.parametrize("status", list(AttemptStatus))
def test_a_capture_or_a_release_follows_only_a_capture_that_was_refused(
    status: AttemptStatus,
) -> None:
    before = [a_capture(status)]
    if status is AttemptStatus.FAILED:
        rules.check_capture(HELD, before, 2, 500)
        assert rules.begin_void(HELD, before, NOW).reversal is not None
        for number in (1, 3):
            with pytest.raises(AttemptInUnexpectedState):
                rules.check_capture(HELD, before, number, 500)
        return
    with pytest.raises(AttemptInUnexpectedState):
        rules.check_capture(HELD, before, 2, 500)
    with pytest.raises(AttemptInUnexpectedState):
        rules.begin_void(HELD, before, NOW)


def test_held_funds_are_released_once_and_never_when_captured() -> None:
    released = rules.begin_void(HELD, [], NOW)

    assert released.reversal == Reversal(ReversalReason.CUSTOMER_CANCELLATION)
    assert rules.begin_void(released, [], LAPSES) is released
    with pytest.raises(AttemptInUnexpectedState):
        rules.begin_void(HELD, [a_capture()], NOW)


@pytest.mark.parametrize(
    ("late_s", "reason", "de25"),
    [
        (-0.001, ReversalReason.CUSTOMER_CANCELLATION, "00"),
        (0, ReversalReason.AUTHORIZATION_EXPIRED, "51"),
    ],
)
def test_a_release_says_whether_the_authorization_has_expired(
    late_s: float, reason: ReversalReason, de25: str
) -> None:
    released = rules.begin_void(HELD, [], LAPSES + late_s)
    trace = Trace("1124120000", "000001", "R" * 12, "P0000001")
    advice = ReversalAdvice(trace, trace, Money(500, "usd"), None, reason, is_repeat=False)
    dialect = DIALECTS["visa_sim"]

    assert released.reversal == Reversal(reason)
    assert unpack(dialect, pack_reversal(dialect, advice))["25"] == de25


@pytest.mark.parametrize("status", list(recon.AttemptStatus))
def test_reconciliation_does_nothing_about_a_capture(status: recon.AttemptStatus) -> None:
    told = recon.Attempt(
        id=AttemptId("att_1"),
        merchant_id=MerchantId("mer_1"),
        mode="test",
        payment_intent_id=PaymentIntentId("pi_1"),
        transaction_id=TransactionId("txn_1"),
        network="visa_sim",
        status=status,
        amount_minor=500,
        currency="usd",
        stan="000001",
        rrn="0" * 12,
        transmitted_at="1124120000",
        deadline=3,
        created=1,
        version=1,
        kind="capture",
    )

    assert recon.resolve_after(told) is None
    with pytest.raises(AttemptInUnexpectedState):
        resolution.expire(PAID, a_capture(), now=10_000, wish="resolved")
