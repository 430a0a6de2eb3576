"""Transactions and attempts: what an outcome does to both, and what it never does."""

from __future__ import annotations

from itertools import product

import pytest

from chassis.ids import AttemptId, Kid, MerchantId, PaymentIntentId, TransactionId
from txn_svc.domain import decline
from txn_svc.domain.attempt import (
    ATTEMPT_TRANSITIONS,
    Attempt,
    AttemptEvent,
    AttemptStatus,
    ReversalReason,
)
from txn_svc.domain.transaction import (
    NO_ANSWER,
    PARTLY_APPROVED,
    TRANSACTION_TRANSITIONS,
    ChargedCard,
    Failure,
    Outcome,
    Transaction,
    TransactionStatus,
    settle,
)
from txn_svc.handlers.answers import judge
from txn_svc.networks.messages import AuthorizationResponse

DECLINED = Failure("card_declined", "The card was declined.", "do_not_honor")
CODES = [f"{first}{second}" for first, second in product("0123456789NR", "0123456789")]


def a_transaction(status: TransactionStatus = TransactionStatus.PENDING) -> Transaction:
    return Transaction(
        id=TransactionId("txn_1"),
        merchant_id=MerchantId("mer_1"),
        mode="test",
        payment_intent_id=PaymentIntentId("pi_1"),
        card=ChargedCard("visa", "4242", 12, 2034, "424242", "f" * 43, Kid("kid_1")),
        created=1,
        status=status,
        amount_minor=1099,
        currency="usd",
        answered_as=None if status is TransactionStatus.PENDING else status,
    )


def an_attempt(status: AttemptStatus = AttemptStatus.RECORDED) -> Attempt:
    return Attempt(
        id=AttemptId("att_1"),
        merchant_id=MerchantId("mer_1"),
        transaction_id=TransactionId("txn_1"),
        payment_intent_id=PaymentIntentId("pi_1"),
        network="visa_sim",
        amount_minor=1099,
        currency="usd",
        stan="000001",
        rrn="0" * 12,
        transmitted_at="1124120000",
        terminal_id="P0000001",
        deadline=3,
        created=1,
        status=status,
    )


@pytest.mark.parametrize(("status", "event"), list(product(AttemptStatus, AttemptEvent)))
def test_an_attempt_moves_by_its_table_or_not_at_all(
    status: AttemptStatus, event: AttemptEvent
) -> None:
    is_unknown = status is AttemptStatus.TIMEOUT
    transaction = a_transaction(
        TransactionStatus.PENDING_VERIFICATION if is_unknown else TransactionStatus.PENDING
    )
    outcome = Outcome(
        event,
        DECLINED if event is AttemptEvent.DECLINE else None,
        amount_approved_minor=1099 if event is AttemptEvent.APPROVE else None,
    )

    if (status, event) not in ATTEMPT_TRANSITIONS:
        with pytest.raises(KeyError):
            settle(transaction, an_attempt(status), outcome)
        return
    moved, settled = settle(transaction, an_attempt(status), outcome)
    assert settled.status is ATTEMPT_TRANSITIONS[status, event]
    assert moved.status is TRANSACTION_TRANSITIONS[transaction.status, settled.status]
    assert settled.version == 2


@pytest.mark.parametrize(
    "status", [AttemptStatus.SUCCEEDED, AttemptStatus.FAILED, AttemptStatus.REVERSED]
)
def test_nothing_leaves_a_final_attempt(status: AttemptStatus) -> None:
    assert not [event for found, event in ATTEMPT_TRANSITIONS if found is status]


def test_a_missing_answer_is_neither_success_nor_failure() -> None:
    moved, settled = settle(a_transaction(), an_attempt(), NO_ANSWER)

    assert moved.status is TransactionStatus.PENDING_VERIFICATION
    assert settled.status is AttemptStatus.TIMEOUT
    assert moved.failure is None


def test_a_replay_shows_the_first_answer_whatever_became_of_it() -> None:
    unknown, attempt = settle(a_transaction(), an_attempt(), NO_ANSWER)
    resolved, _ = settle(unknown, attempt, Outcome(AttemptEvent.DECLINE, DECLINED))

    assert resolved.status is TransactionStatus.FAILED
    assert resolved.as_first_answered() == unknown.as_first_answered()


@pytest.mark.parametrize("code", CODES)
def test_every_response_code_is_approved_declined_or_unknown(code: str) -> None:
    outcome = judge(AuthorizationResponse(code, 1099, None, None), an_attempt())

    if code in decline.APPROVED:
        assert outcome.event is AttemptEvent.APPROVE
    elif code in decline.DECLINE_CODES or code in decline.FAILURE_CODES:
        assert outcome.event is AttemptEvent.DECLINE
        assert outcome.failure is not None
    else:
        assert outcome.event is AttemptEvent.NO_ANSWER


@pytest.mark.parametrize("code", sorted(decline.UNKNOWN))
def test_doubtful_codes_are_never_a_decline(code: str) -> None:
    assert decline.decline(code) is None
    assert not decline.is_approved(code)


@pytest.mark.parametrize("code", ["34", "41", "43", "59"])
def test_a_lost_stolen_or_suspected_card_says_so_to_nobody(code: str) -> None:
    failure = decline.decline(code)

    assert failure is not None
    assert failure.decline_code == "generic_decline"
    assert "lost" not in failure.message
    assert "stolen" not in failure.message


@pytest.mark.parametrize("code", ["00", "10"])
def test_an_approval_of_a_part_charges_nothing_and_is_undone(code: str) -> None:
    outcome = judge(AuthorizationResponse(code, 500, "123456", None), an_attempt())

    assert outcome.event is AttemptEvent.DECLINE
    assert outcome.failure == PARTLY_APPROVED
    assert outcome.undo is ReversalReason.INVALID_RESPONSE
