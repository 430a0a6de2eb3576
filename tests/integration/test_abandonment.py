"""Transactions for which nothing was ever sent: given up after a minute, or sent, never both."""

from __future__ import annotations

import pytest

from chassis.database import Database
from chassis.errors import IdempotencyKeyInUse
from tests.integration.races import race
from tests.integration.resolution_parts import Resolving
from tests.integration.txn_parts import (
    AMOUNT_MINOR,
    HOLD_TRANSACTION,
    LEFT_BY_OTHERS,
    a_beginning,
    a_step,
    a_transaction,
    a_wish,
)
from txn_svc.domain.transaction import ABANDONED, TransactionStatus
from txn_svc.handlers.charges import Answer

pytestmark = pytest.mark.integration

SUCCEEDED, FAILED = 1, 3  # as the contract numbers outcomes


@pytest.fixture(autouse=True)
async def _nothing_else_to_give_up(txn_databases: list[Database]) -> None:
    await txn_databases[0].fetch(LEFT_BY_OTHERS)


async def test_a_transaction_is_given_up_when_nothing_was_sent_for_a_minute(
    resolving: Resolving,
) -> None:
    begun = await resolving.process.begun(resolving.caller)
    resolving.move(59)
    too_early = await resolving.resolver.give_up_never_recorded(100)
    resolving.move(1)

    given_up = await resolving.resolver.give_up_never_recorded(100)
    again = await resolving.other_resolver.give_up_never_recorded(100)

    transaction, attempt, _ = await resolving.process.store.reads.submit(
        (begun.merchant_id, begun.id)
    )
    [event] = await resolving.process.events(begun.payment_intent_id)
    assert (too_early, given_up, again) == (0, 1, 0)
    assert (transaction.status, transaction.failure) == (TransactionStatus.FAILED, ABANDONED)
    assert (transaction.amount_minor, attempt) == (AMOUNT_MINOR, None)
    assert (event.type, event.version) == ("transaction.abandoned", 1)
    assert not event.HasField("attempt")
    assert event.transaction.failure.code == "abandoned"
    assert resolving.intents.told == [(begun.id, FAILED)]


async def test_a_key_whose_charge_was_given_up_is_answered_that_it_failed(
    resolving: Resolving,
) -> None:
    begun = await resolving.process.begun(resolving.caller)
    resolving.move(60)
    await resolving.resolver.give_up_never_recorded(100)

    answer = await resolving.other_charges.charge(resolving.caller, a_wish(begun.payment_intent_id))

    assert answer.is_replay
    assert answer.transaction.id == begun.id
    assert answer.transaction.failure == ABANDONED
    assert resolving.intents.claims == []


async def test_a_transaction_of_no_intent_disappears_and_frees_its_key(
    resolving: Resolving,
) -> None:
    begun = await resolving.process.begun(resolving.caller)
    resolving.intents.knows_nothing = True
    resolving.move(60)

    await resolving.resolver.give_up_never_recorded(100)

    assert await resolving.process.count(resolving.caller) == 0
    assert await resolving.process.events(begun.payment_intent_id) == []
    assert resolving.intents.told == []


async def test_nothing_is_given_up_while_intents_are_away_and_all_of_it_later(
    resolving: Resolving,
) -> None:
    begun = await resolving.process.begun(resolving.caller)
    resolving.intents.is_away = True
    resolving.move(60)

    while_away = await resolving.resolver.give_up_never_recorded(100)
    resolving.intents.is_away = False
    afterwards = await resolving.resolver.give_up_never_recorded(100)

    assert (while_away, afterwards) == (0, 1)
    assert resolving.intents.told == [(begun.id, FAILED)]


@pytest.mark.parametrize("state", ["recorded", "unanswered"])
async def test_what_was_recorded_is_never_given_up(resolving: Resolving, state: str) -> None:
    step = await resolving.recorded()
    resolving.move(60)
    if state == "unanswered":
        await resolving.reverse(step.attempt)
    before = await resolving.exchange(step.attempt)

    await resolving.resolver.give_up_never_recorded(100)

    assert await resolving.exchange(step.attempt) == before


@pytest.mark.parametrize("is_recorded_first", [True, False])
async def test_a_charge_that_is_recorded_while_it_is_given_up_is_one_or_the_other(
    resolving: Resolving, is_recorded_first: bool
) -> None:
    begun = await resolving.process.begun(resolving.caller)
    resolving.move(60)
    calls = [
        resolving.process.store.records.submit(a_step(begun)),
        resolving.other_resolver.give_up_never_recorded(100),
    ]

    results = await race(
        resolving.process.database,
        HOLD_TRANSACTION,
        *(calls if is_recorded_first else calls[::-1]),
        id=begun.id,
    )

    transaction, attempt, _ = await resolving.process.store.reads.submit(
        (begun.merchant_id, begun.id)
    )
    recorded = results[0 if is_recorded_first else 1]
    types = [event.type for event in await resolving.process.events(begun.payment_intent_id)]
    if is_recorded_first:
        assert (recorded, transaction.status) == (None, TransactionStatus.PENDING)
        assert (attempt is not None, types) == (True, ["attempt.recorded"])
        assert resolving.intents.told == []
    else:
        assert isinstance(recorded, IdempotencyKeyInUse)
        assert (attempt, transaction.status) == (None, TransactionStatus.FAILED)
        assert types == ["transaction.abandoned"]
        assert resolving.intents.told == [(begun.id, FAILED)]


async def test_two_processes_give_a_transaction_up_once(resolving: Resolving) -> None:
    begun = await resolving.process.begun(resolving.caller)
    resolving.move(60)

    results = await race(
        resolving.process.database,
        HOLD_TRANSACTION,
        resolving.resolver.give_up_never_recorded(100),
        resolving.other_resolver.give_up_never_recorded(100),
        id=begun.id,
    )

    assert results == [1, 1]
    assert len(await resolving.process.events(begun.payment_intent_id)) == 1
    assert resolving.intents.told == [(begun.id, FAILED)]


async def test_a_claim_for_a_charge_that_another_process_took_back_is_given_back(
    resolving: Resolving,
) -> None:
    """One process is refused the intent and takes the transaction back while another claims it."""
    begun = a_transaction(resolving.caller)
    await resolving.process.store.beginnings.submit(a_beginning(begun))
    abandoning = resolving.other.store.abandonments.submit((begun.merchant_id, begun.id))

    results = await race(
        resolving.process.database,
        HOLD_TRANSACTION,
        abandoning,
        resolving.charges.charge(resolving.caller, a_wish(begun.payment_intent_id)),
        id=begun.id,
    )

    assert isinstance(results[1], IdempotencyKeyInUse)
    assert await resolving.process.count(resolving.caller) == 0
    assert resolving.intents.claims == [begun.id]
    assert resolving.intents.told == [(begun.id, FAILED)]


async def test_a_claim_for_a_charge_that_was_given_up_before_is_given_back(
    resolving: Resolving,
) -> None:
    """The intent was told of the end before it was claimed, so that it must be told again."""
    begun = await resolving.process.begun(resolving.caller)
    resolving.move(60)

    results = await race(
        resolving.process.database,
        HOLD_TRANSACTION,
        resolving.other_resolver.give_up_never_recorded(100),
        resolving.charges.charge(resolving.caller, a_wish(begun.payment_intent_id)),
        id=begun.id,
    )

    assert isinstance(results[1], IdempotencyKeyInUse)
    assert resolving.intents.claims == [begun.id]
    assert resolving.intents.told == [(begun.id, FAILED)] * 2


@pytest.mark.parametrize("first", ["charge", "take back"])
async def test_a_charge_that_is_taken_back_while_it_is_recorded_is_sent_or_told_to_have_failed(
    resolving: Resolving, first: str
) -> None:
    begun = await resolving.process.begun(resolving.caller)
    calls = [
        resolving.charges.charge(resolving.caller, a_wish(begun.payment_intent_id)),
        resolving.other.store.abandonments.submit((begun.merchant_id, begun.id)),
    ]

    results: list[object] = list(
        await race(
            resolving.process.database,
            HOLD_TRANSACTION,
            *(calls if first == "charge" else calls[::-1]),
            id=begun.id,
        )
    )

    [told] = resolving.intents.told
    if first == "charge":
        assert isinstance(results[0], Answer)
        assert results[0].transaction.status is TransactionStatus.SUCCEEDED
        assert told == (begun.id, SUCCEEDED)
    else:
        assert isinstance(results[1], IdempotencyKeyInUse)
        assert told == (begun.id, FAILED)
