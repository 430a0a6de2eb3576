"""A card's number is there for every message that needs it, whoever sends it, and then gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from chassis.database import Database, Row
from chassis.identity import Caller
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import a_caller
from tests.integration.races import until_waiting
from tests.integration.resolution_parts import Resolving, said
from tests.integration.txn_parts import (
    AGE_MAX,
    APPROVED,
    DECLINED,
    HOLD_ATTEMPT,
    PAN,
    TxnProcess,
    a_transaction,
    a_wish,
    after,
)
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptStatus
from txn_svc.domain.card_need import LATE_APPROVAL_S
from txn_svc.domain.resolution import take_late_answer
from txn_svc.domain.transaction import NEVER_RECEIVED, NO_ANSWER, Outcome, TransactionStatus
from txn_svc.handlers.card_tokens import CardTokenHandlers
from txn_svc.handlers.charges import ChargeHandlers
from txn_svc.handlers.kept_pans import KeptPans
from txn_svc.store.rows import Move

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SECRET_TABLES = {"card_envelopes", "card_tokens", "card_nonces"}
COPY_BACK = """
insert into card_envelopes
select (jsonb_populate_record(null::card_envelopes, cast(%(row)s as jsonb))).*
"""
NOT_GOT = Outcome(AttemptEvent.DECLINE, NEVER_RECEIVED)


class CountingDatabase(Database):
    """The same database, which notes what it is asked."""

    def __init__(self, other: Database) -> None:
        super().__init__(other._pool, other.engine)  # noqa: SLF001 it shares the connections
        self.asked: list[str] = []

    async def fetch(self, sql: str, **parameters: object) -> list[Row]:
        """Note and ask."""
        self.asked.append(sql)
        return await super().fetch(sql, **parameters)


async def _envelopes(database: Database, caller: Caller) -> Sequence[Mapping[str, object]]:
    """Return the merchant's envelopes as the database has them."""
    sql = "select to_jsonb(e) as row from card_envelopes e where merchant_id = %(id)s"
    return [row["row"] for row in await database.fetch(sql, id=caller.merchant_id)]


def _logged(caplog: pytest.LogCaptureFixture, attempt: Attempt, level: int) -> list[str]:
    names = {attempt.id, attempt.transaction_id}
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == level
        and {getattr(record, "attempt_id", ""), getattr(record, "transaction_id", "")} & names
    ]


async def _swept(pans: KeptPans) -> None:
    """Let a whole round of the sweep pass."""
    await pans.sweep()
    while pans._after is not None:  # noqa: SLF001 where the round stands
        await pans.sweep()


@pytest.mark.parametrize("network", ["visa_sim", "mastercard_sim"])
async def test_a_charge_that_is_settled_leaves_no_number(
    resolving: Resolving, network: str
) -> None:
    for number, outcome in enumerate((APPROVED, DECLINED)):
        recorded = await resolving.recorded(network, f"key-{number}")
        kept = await _envelopes(resolving.process.database, resolving.caller)
        await resolving.process.store.moves.submit(after(recorded, outcome))

        assert [row["transaction_id"] for row in kept] == [recorded.transaction.id]
        assert await _envelopes(resolving.process.database, resolving.caller) == []


async def test_a_charge_takes_as_many_statements_as_it_has_steps(resolving: Resolving) -> None:
    counting = CountingDatabase(resolving.process.database)
    process = TxnProcess(counting, resolving.process.clock)
    charges = ChargeHandlers(
        process.store,
        resolving.resolver,
        resolving.charges._intents,  # noqa: SLF001 the same neighbour
        CardTokenHandlers(
            process.token_store,
            process.card_keys,
            resolving.charges._intents,  # noqa: SLF001 the same neighbour
            process.clock,
        ),
        process.archived(),
        resolving.networks.pools,
        process.clock,
    )

    intent_id = a_transaction(resolving.caller).payment_intent_id
    answer = await charges.charge(resolving.caller, a_wish(intent_id))

    assert answer.transaction.status is TransactionStatus.SUCCEEDED
    assert len(counting.asked) == 3, "begin, record and move"
    assert await _envelopes(counting, resolving.caller) == []


async def test_another_process_reverses_with_the_number_and_it_is_gone(
    resolving: Resolving,
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")
    await resolving.reverse(attempt)
    kept = await _envelopes(resolving.process.database, resolving.caller)

    assert await resolving.send_due(resolving.other_resolver) == 1

    assert len(kept) == 1
    assert PAN not in str(kept)
    assert said(await resolving.attempt(attempt))[1:] == [("0420", None), ("0430", "00")]
    assert (await resolving.book(attempt))["reversed"] is True
    assert await _envelopes(resolving.process.database, resolving.caller) == []


async def test_another_process_asks_with_the_number(resolving: Resolving) -> None:
    attempt = await resolving.charged("mastercard_sim", "answer lost")

    outcome, answer = await resolving.other_resolver.inquire(attempt.merchant_id, attempt.id)

    assert answer is not None
    assert outcome is not None
    assert (outcome.event, answer.response_code) == (AttemptEvent.APPROVE, "00")
    assert len(await _envelopes(resolving.process.database, resolving.caller)) == 1


async def test_a_network_refuses_a_reversal_without_the_number_which_is_told_and_repeated(
    resolving: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")
    await resolving.reverse(attempt)
    await resolving.process.database.fetch(
        "delete from card_envelopes where transaction_id = %(id)s", id=attempt.transaction_id
    )

    await resolving.send_due()

    now = await resolving.attempt(attempt)
    assert said(now)[1:] == [("0420", None), ("0430", "30")]
    assert now.status is AttemptStatus.TIMEOUT
    assert now.reversal is not None
    assert now.reversal.tries == 1
    assert _logged(caplog, attempt, logging.WARNING) == ["a message goes without its card"]


async def test_an_envelope_that_was_changed_is_told_and_the_reversal_goes_on(
    resolving: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")
    await resolving.reverse(attempt)
    await resolving.process.database.fetch(
        "update card_envelopes set sealed = sealed || '\\x00' where transaction_id = %(id)s",
        id=attempt.transaction_id,
    )

    await resolving.send_due()

    assert said(await resolving.attempt(attempt))[1:] == [("0420", None), ("0430", "30")]
    assert _logged(caplog, attempt, logging.ERROR) == ["a kept card can't be read"]


async def test_held_funds_keep_the_number_until_they_are_captured(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    await _swept(holds.txn.pans)
    held = await _envelopes(holds.txn.database, caller)

    await holds.capture(caller, intent, 700)

    assert len(held) == 1
    assert (await holds.books(caller))["captured"] == 700
    assert await _envelopes(holds.txn.database, caller) == []


async def test_held_funds_keep_the_number_until_they_are_released(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    await holds.process.handlers.cancel(caller, intent.id, None)
    for _ in range(3):
        await holds.do_due()

    assert (await holds.books(caller))["held"] == 0
    assert "0420" in await holds.sent(caller)
    assert await _envelopes(holds.txn.database, caller) == []


async def test_a_refused_capture_leaves_the_number_for_the_next_one(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller, "first capture refused")
    await holds.capture(caller, intent, 700)
    between = await _envelopes(holds.txn.database, caller)

    await holds.capture(caller, await holds.intent(caller, intent.id), 700)

    assert len(between) == 1
    assert (await holds.books(caller))["captured"] == 700
    assert await _envelopes(holds.txn.database, caller) == []


async def test_what_the_network_never_answered_can_be_undone_for_a_while_when_it_is_approved_late(
    resolving: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")
    await resolving.resolver.resolve(attempt.merchant_id, attempt.id, lambda _: NOT_GOT)
    await _swept(resolving.process.pans)
    kept = await _envelopes(resolving.process.database, resolving.caller)

    await resolving.resolver.take_late_answer(attempt, APPROVED)
    resolving.move(LATE_APPROVAL_S + 1)
    await _swept(resolving.process.pans)
    await resolving.send_due(resolving.other_resolver)

    assert len(kept) == 1
    assert (await resolving.book(attempt))["reversed"] is True
    assert await _envelopes(resolving.process.database, resolving.caller) == []
    assert _logged(caplog, attempt, logging.ERROR) == []


async def test_what_the_network_never_answered_is_shredded_after_a_while(
    resolving: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = await resolving.charged("visa_sim", "never received")
    await resolving.resolver.resolve(attempt.merchant_id, attempt.id, lambda _: NOT_GOT)

    resolving.move(LATE_APPROVAL_S - 10)
    await _swept(resolving.process.pans)
    before = await _envelopes(resolving.process.database, resolving.caller)
    resolving.move(20)
    await _swept(resolving.other.pans)

    assert len(before) == 1
    assert await _envelopes(resolving.process.database, resolving.caller) == []
    assert _logged(caplog, attempt, logging.ERROR) == []


async def test_the_sweep_shreds_nothing_of_an_attempt_that_is_being_changed(
    resolving: Resolving,
) -> None:
    recorded = await resolving.recorded()
    failed = after(recorded, NOT_GOT)
    await resolving.process.store.moves.submit(failed)
    resolving.move(LATE_APPROVAL_S + 5)

    late, undone = take_late_answer(failed.transaction, failed.attempt, APPROVED)
    async with resolving.process.database.transaction() as other:
        await other.execute(sa.text(HOLD_ATTEMPT), {"id": recorded.attempt.id})
        taking = asyncio.create_task(
            resolving.other.store.moves.submit(Move(failed.attempt, late, undone))
        )
        await until_waiting(resolving.process.database, [taking])
        await _swept(resolving.process.pans)
    assert await taking
    await _swept(resolving.process.pans)

    assert len(await _envelopes(resolving.process.database, resolving.caller)) == 1
    assert (await resolving.attempt(recorded.attempt)).reversal is not None


async def test_a_number_that_outlived_its_charge_is_shredded_and_told_aloud(
    resolving: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = await resolving.recorded()
    sql = "select to_jsonb(e)::text as row from card_envelopes e where transaction_id = %(id)s"
    [row] = await resolving.process.database.fetch(sql, id=recorded.transaction.id)
    await resolving.process.store.moves.submit(after(recorded, APPROVED))
    await resolving.process.database.fetch(COPY_BACK, row=row["row"])

    await _swept(resolving.process.pans)

    assert await _envelopes(resolving.process.database, resolving.caller) == []
    assert _logged(caplog, recorded.attempt, logging.ERROR) == ["a card number was kept too long"]


async def test_a_charge_that_is_open_too_long_is_told_aloud_and_keeps_its_number(
    resolving: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = await resolving.recorded()
    await resolving.process.store.moves.submit(after(recorded, NO_ANSWER))
    await resolving.reverse(await resolving.attempt(recorded.attempt))

    resolving.process.clock.move(AGE_MAX.total_seconds() - 60)
    await _swept(resolving.process.pans)
    early = _logged(caplog, recorded.attempt, logging.ERROR)
    resolving.process.clock.move(120)
    await _swept(resolving.process.pans)

    assert early == []
    assert _logged(caplog, recorded.attempt, logging.ERROR) == ["a card number was kept too long"]
    assert len(await _envelopes(resolving.process.database, resolving.caller)) == 1


async def test_the_sweep_goes_through_everything_page_by_page(
    resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txn_svc.handlers.kept_pans.PAGE_ROWS", 2)
    others = [a_caller() for _ in range(3)]
    steps = [await resolving.process.recorded(caller) for caller in others]
    for step in steps:
        await resolving.process.store.moves.submit(after(step, NOT_GOT))

    resolving.process.clock.move(LATE_APPROVAL_S + 5)
    await _swept(resolving.process.pans)

    for caller in others:
        assert await _envelopes(resolving.process.database, caller) == []


async def test_no_publication_and_no_connector_has_cards(txn_databases: list[Database]) -> None:
    published = await txn_databases[0].fetch("select tablename as name from pg_publication_tables")
    everything = await txn_databases[0].fetch("select from pg_publication where puballtables")
    connectors = (ROOT / "k8s" / "platform" / "kafka" / "connectors.yaml").read_text()
    captured = {
        name.removeprefix("public.")
        for connector in yaml.safe_load_all(connectors)
        for name in connector["spec"]["config"].get("table.include.list", "").split(",")
    }

    assert {"transactions", "attempts", "outbox"} <= {row["name"] for row in published} & captured
    assert not SECRET_TABLES & ({row["name"] for row in published} | captured)
    assert everything == []
