"""Intents that were claimed for a transaction that is no more, by a process that is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chassis.database import Database
from chassis.errors import Kind, RemoteError
from chassis.identity import Caller
from intent_svc.domain.payment_intent import PaymentIntent, Status
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import a_wish, answered
from tests.integration.txn_parts import a_beginning, a_transaction
from txn_svc.domain.transaction import CLAIM_WITHIN_S, GIVE_UP_AFTER_S, Transaction

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
async def _nothing_of_others(hold_databases: list[Database]) -> None:
    await hold_databases[-1].fetch("delete from abandoned_claims")


async def _begun(holds: Holds, caller: Caller) -> tuple[PaymentIntent, Transaction]:
    """Return an intent, and a charge of it that is written down and no more."""
    created = answered(await holds.process.handlers.create(caller, a_wish(), None))
    transaction = replace(
        a_transaction(caller, created.id), created=int(holds.clock.now().timestamp())
    )
    assert await holds.txn.store.beginnings.submit(a_beginning(transaction)) is None
    return await holds.intent(caller, created.id), transaction


async def _status(holds: Holds, caller: Caller, intent: PaymentIntent) -> tuple[Status, str | None]:
    now = await holds.intent(caller, intent.id)
    return now.status, now.last_failure.code if now.last_failure is not None else None


async def test_who_gives_a_transaction_up_and_dies_leaves_an_event_that_tells(
    holds: Holds, caller: Caller
) -> None:
    intent, transaction = await _begun(holds, caller)
    await holds.intents.begin_processing(transaction)
    holds.clock.move(GIVE_UP_AFTER_S)
    holds.lifecycle.is_deaf = True

    await holds.attempts.give_up_never_recorded(100)
    before = await _status(holds, caller, intent)
    await holds.consume(intent)

    assert before == (Status.PROCESSING, None)
    assert await _status(holds, caller, intent) == (Status.FAILED, "abandoned")


async def test_who_wakes_up_after_its_transaction_was_given_up_claims_nothing(
    holds: Holds, caller: Caller
) -> None:
    """The event was told before; who claims now and dies would hold the intent for ever."""
    intent, transaction = await _begun(holds, caller)
    holds.clock.move(GIVE_UP_AFTER_S)
    await holds.attempts.give_up_never_recorded(100)
    await holds.consume(intent)

    with pytest.raises(RemoteError) as refused:
        await holds.intents.begin_processing(transaction)

    assert refused.value.kind is Kind.UNAVAILABLE
    assert await _status(holds, caller, intent) == (Status.CREATED, None)


async def test_a_claim_in_its_time_is_taken(holds: Holds, caller: Caller) -> None:
    intent, transaction = await _begun(holds, caller)
    holds.clock.move(CLAIM_WITHIN_S - 1)

    await holds.intents.begin_processing(transaction)

    assert await _status(holds, caller, intent) == (Status.PROCESSING, None)


async def test_a_claim_for_what_another_process_took_back_ends_though_its_process_died(
    holds: Holds, caller: Caller
) -> None:
    intent, transaction = await _begun(holds, caller)
    await holds.txn.store.abandonments.submit((caller.merchant_id, transaction.id))
    await holds.intents.begin_processing(transaction)  # and dies
    too_early = await holds.attempts.tell_abandoned_claims(100)
    holds.clock.move(GIVE_UP_AFTER_S)

    holds.lifecycle.is_deaf = True
    with_nobody = await holds.attempts.tell_abandoned_claims(100)
    before = await _status(holds, caller, intent)
    holds.lifecycle.is_deaf = False
    told = await holds.attempts.tell_abandoned_claims(100)

    assert (too_early, with_nobody, told) == (0, 0, 1)
    assert before == (Status.PROCESSING, None)
    assert await _status(holds, caller, intent) == (Status.FAILED, "abandoned")
    assert await holds.attempts.tell_abandoned_claims(100) == 0


async def test_telling_of_what_was_taken_back_touches_no_other_charge(
    holds: Holds, caller: Caller
) -> None:
    intent, transaction = await _begun(holds, caller)
    await holds.txn.store.abandonments.submit((caller.merchant_id, transaction.id))
    _, other = await _begun(holds, caller)
    other = replace(other, payment_intent_id=intent.id)
    await holds.intents.begin_processing(other)
    holds.clock.move(GIVE_UP_AFTER_S)

    told = await holds.attempts.tell_abandoned_claims(100)

    assert told == 1
    assert await _status(holds, caller, intent) == (Status.PROCESSING, None)
