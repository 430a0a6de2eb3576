"""Charges by two processes of txn_svc, over a simulated network and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from chassis.database import Database
from chassis.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    RemoteError,
    ResourceMissing,
    ServiceUnavailable,
)
from chassis.identity import Caller
from chassis.ids import PaymentIntentId, new_id
from chassis.paging import Page
from tests.integration.authz_client import free_port
from tests.integration.intent_parts import a_caller
from tests.integration.network_parts import RULES, Simulator, a_link, a_pool, card_fields
from tests.integration.races import race
from tests.integration.txn_parts import (
    AMOUNT_MINOR,
    DECLINED_CARD,
    NETWORK,
    TIMEOUT_S,
    FakeIntents,
    TxnProcess,
    a_beginning,
    a_step,
    a_transaction,
    a_wish,
)
from txn_svc.domain.attempt import AttemptStatus
from txn_svc.domain.card import CardFields
from txn_svc.domain.transaction import TransactionStatus
from txn_svc.handlers.charges import Answer, ChargeHandlers
from txn_svc.networks.pool import CardNetworkUnavailable, NetworkPool

pytestmark = pytest.mark.integration

LOST = card_fields(NETWORK, "answer lost")
SUCCEEDED, FAILED = 1, 3  # as the contract numbers outcomes


@dataclass(frozen=True, slots=True)
class Charges:
    """Two processes that charge over one network, for intents of one neighbour."""

    process: TxnProcess
    handlers: ChargeHandlers
    other: TxnProcess
    other_handlers: ChargeHandlers
    offline: ChargeHandlers
    intents: FakeIntents
    network: Simulator

    async def sent(self, caller: Caller) -> list[dict[str, object]]:
        """Return what stands in the issuers' books for the merchant's attempts."""
        rrns = {row["rrn"] for row in await self.process.attempts(caller)}
        return [row for row in await self.network.ledger() if row["rrn"] in rrns]


@pytest.fixture(scope="module")
async def network(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Simulator, NetworkPool]]:
    simulator = Simulator(NETWORK, free_port(), free_port(), tmp_path_factory.mktemp("network"))
    with simulator.running():
        async with a_pool(simulator) as pool:
            yield simulator, pool


@pytest.fixture
async def charges(
    txn_databases: list[Database], network: tuple[Simulator, NetworkPool]
) -> AsyncIterator[Charges]:
    simulator, pool = network
    process, other = (TxnProcess(database) for database in txn_databases)
    unreached = NetworkPool(NETWORK, a_link(NETWORK), RULES)
    intents = FakeIntents()
    async with intents.served() as channel:
        yield Charges(
            process,
            process.handlers(channel, {NETWORK: pool}),
            other,
            other.handlers(channel, {NETWORK: pool}),
            process.handlers(channel, {NETWORK: unreached}),
            intents,
            simulator,
        )


@pytest.fixture
def intent_id(caller: Caller) -> PaymentIntentId:
    return PaymentIntentId(new_id("pi", caller.merchant_id))


async def test_an_approved_charge_is_written_sent_and_told_once(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    answer = await charges.handlers.charge(caller, a_wish(intent_id))

    paid = answer.transaction
    [sent] = await charges.sent(caller)
    assert (paid.status, paid.amount_minor) == (TransactionStatus.SUCCEEDED, AMOUNT_MINOR)
    assert (sent["amount"], sent["approved"]) == (AMOUNT_MINOR, True)
    assert (await charges.handlers.get(caller, intent_id, paid.id))[0] == paid
    assert charges.intents.claims == [paid.id]
    assert charges.intents.told == [(paid.id, SUCCEEDED)]
    assert await charges.process.history(intent_id) == [
        (1, "attempt.recorded"),
        (2, "attempt.succeeded"),
    ]


async def test_a_declined_charge_says_why_and_fails(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    answer = await charges.handlers.charge(caller, a_wish(intent_id, DECLINED_CARD))

    failure = answer.transaction.failure
    assert answer.transaction.status is TransactionStatus.FAILED
    assert failure is not None
    assert failure.decline_code == "do_not_honor"
    assert charges.intents.told == [(answer.transaction.id, FAILED)]
    assert (await charges.process.history(intent_id))[1:] == [(2, "attempt.failed")]


async def test_a_lost_answer_is_an_open_outcome_that_nobody_is_told(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    answer = await charges.handlers.charge(caller, a_wish(intent_id, LOST))

    [sent] = await charges.sent(caller)
    assert answer.transaction.status is TransactionStatus.PENDING_VERIFICATION
    assert sent["approved"] is True
    assert charges.intents.told == []
    assert (await charges.process.history(intent_id))[1:] == [(2, "attempt.timeout")]


@pytest.mark.parametrize("card", [None, DECLINED_CARD, LOST], ids=["paid", "declined", "unknown"])
async def test_a_key_gets_its_first_answer_again_and_sends_nothing(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId, card: CardFields | None
) -> None:
    first = await charges.handlers.charge(caller, a_wish(intent_id, card))

    again = [
        await handlers.charge(caller, a_wish(intent_id, card))
        for handlers in (charges.handlers, charges.other_handlers, charges.offline)
    ]

    assert not first.is_replay
    assert again == [Answer(first.transaction, is_replay=True)] * 3
    assert len(await charges.sent(caller)) == 1
    assert len(charges.intents.claims) == 1


async def test_a_key_with_another_body_is_refused_and_writes_nothing(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    await charges.handlers.charge(caller, a_wish(intent_id))

    for handlers in (charges.handlers, charges.other_handlers, charges.offline):
        with pytest.raises(IdempotencyKeyReused):
            await handlers.charge(caller, a_wish(new_id("pi", caller.merchant_id), body=b"2"))

    assert await charges.process.count(caller) == 1
    assert len(await charges.sent(caller)) == 1


async def test_two_processes_with_one_key_send_once(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    books = await charges.network.ledger()

    results = await race(
        charges.process.database,
        "lock table attempts in share mode",
        charges.handlers.charge(caller, a_wish(intent_id)),
        charges.other_handlers.charge(caller, a_wish(intent_id)),
    )

    [answer] = [result for result in results if isinstance(result, Answer)]
    [refused] = [result for result in results if not isinstance(result, Answer)]
    assert answer.transaction.status is TransactionStatus.SUCCEEDED
    assert isinstance(refused, IdempotencyKeyInUse)
    assert [row["amount"] for row in await charges.sent(caller)] == [AMOUNT_MINOR]
    assert len(await charges.network.ledger()) == len(books) + 1
    assert charges.intents.told == [(answer.transaction.id, SUCCEEDED)]


async def test_one_process_runs_a_key_once_at_a_time(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    results = await asyncio.gather(
        *(charges.handlers.charge(caller, a_wish(intent_id)) for _ in range(20)),
        return_exceptions=True,
    )

    assert isinstance(results[0], Answer)
    assert {type(result) for result in results[1:]} == {IdempotencyKeyInUse}
    assert charges.intents.claims == [results[0].transaction.id]
    assert len(await charges.sent(caller)) == 1


async def test_what_was_recorded_and_never_settled_becomes_a_timeout_after_its_deadline(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    begun = a_transaction(caller, intent_id)
    await charges.process.store.beginnings.submit(a_beginning(begun))
    await charges.process.store.records.submit(a_step(begun))
    wish = a_wish(intent_id)

    charges.other.clock.move(TIMEOUT_S)
    with pytest.raises(IdempotencyKeyInUse):
        await charges.other_handlers.charge(caller, wish)
    charges.other.clock.move(0.1)
    answer = await charges.other_handlers.charge(caller, wish)
    again = await charges.other_handlers.charge(caller, wish)

    [attempt] = await charges.process.attempts(caller)
    assert answer.transaction.id == begun.id
    assert answer.transaction.status is TransactionStatus.PENDING_VERIFICATION
    assert again == answer == Answer(answer.transaction, is_replay=True)
    assert attempt["status"] == AttemptStatus.TIMEOUT
    assert (await charges.process.history(intent_id))[1:] == [(2, "attempt.timeout")]
    assert await charges.sent(caller) == []


async def test_what_was_begun_and_never_recorded_is_charged_when_the_key_comes_again(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    begun = a_transaction(caller, intent_id)
    await charges.process.store.beginnings.submit(a_beginning(begun))

    answer = await charges.other_handlers.charge(caller, a_wish(intent_id))

    assert answer.transaction.id == begun.id
    assert answer.transaction.status is TransactionStatus.SUCCEEDED
    assert charges.intents.claims == [begun.id]
    assert len(await charges.sent(caller)) == 1


async def test_a_refused_claim_leaves_nothing_and_frees_the_key(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    charges.intents.refusal = "PAYMENT_INTENT_UNEXPECTED_STATE"

    with pytest.raises(RemoteError) as refused:
        await charges.handlers.charge(caller, a_wish(intent_id))
    left = await charges.process.count(caller)
    charges.intents.refusal = None
    answer = await charges.other_handlers.charge(caller, a_wish(intent_id, body=b"2"))

    assert refused.value.reason == "PAYMENT_INTENT_UNEXPECTED_STATE"
    assert left == 0
    assert answer.transaction.status is TransactionStatus.SUCCEEDED
    assert len(await charges.sent(caller)) == 1


async def test_a_claim_that_may_have_worked_is_repeated_by_the_same_transaction(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    charges.intents.is_away = True

    with pytest.raises(ServiceUnavailable):
        await charges.handlers.charge(caller, a_wish(intent_id))
    charges.intents.is_away = False
    answer = await charges.handlers.charge(caller, a_wish(intent_id))

    assert charges.intents.claims == [answer.transaction.id] * 2
    assert answer.transaction.status is TransactionStatus.SUCCEEDED


async def test_without_a_connection_to_the_network_nothing_is_written(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    with pytest.raises(CardNetworkUnavailable):
        await charges.offline.charge(caller, a_wish(intent_id))

    assert await charges.process.count(caller) == 0
    assert charges.intents.claims == []


async def test_a_charge_whose_caller_goes_away_is_finished(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    call = asyncio.create_task(charges.handlers.charge(caller, a_wish(intent_id)))
    await asyncio.sleep(0)

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await charges.handlers.stop()

    listed = (await charges.handlers.list(caller, intent_id, Page(10))).transactions
    assert call.cancelled()
    assert [transaction.status for transaction in listed] == [TransactionStatus.SUCCEEDED]
    assert charges.intents.told == [(listed[0].id, SUCCEEDED)]


async def test_another_merchant_s_mode_s_or_intent_s_charge_does_not_exist(
    charges: Charges, caller: Caller, intent_id: PaymentIntentId
) -> None:
    paid = (await charges.handlers.charge(caller, a_wish(intent_id))).transaction

    results = await asyncio.gather(
        charges.handlers.get(a_caller(), intent_id, paid.id),
        charges.handlers.get(a_caller("live", caller.merchant_id), intent_id, paid.id),
        charges.handlers.get(caller, new_id("pi", caller.merchant_id), paid.id),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [ResourceMissing] * 3
