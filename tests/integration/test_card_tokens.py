"""Card tokens over a real PostgreSQL, a key store and a simulated network: used once, or never."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from chassis.database import Database
from chassis.errors import IdempotencyKeyInUse, IdempotencyKeyReused, RemoteError
from chassis.identity import Caller
from chassis.ids import CardTokenId, new_id
from chassis.keystore.keys import SealBroken
from tests.integration.card_token_parts import (
    CVC,
    HOLD_NONCE,
    HOLD_TOKEN,
    Browsing,
    a_token_wish,
    browsing,
)
from tests.integration.intent_parts import a_caller
from tests.integration.races import race
from tests.integration.resolution_parts import Networks
from tests.integration.txn_parts import LEFT_BY_OTHERS, NETWORK, PAN, a_step
from txn_svc.cards.encrypted_card import EncryptedCardExpired, EncryptedCardReused
from txn_svc.domain.card_token import (
    LIFETIME_S,
    CardTokenExpired,
    CardTokenForAnotherIntent,
    CardTokenUnknown,
    CardTokenUsed,
)
from txn_svc.domain.transaction import ABANDONED, TransactionStatus
from txn_svc.handlers.charges import Answer

pytestmark = pytest.mark.integration

AGE_S_MAX = 600  # of an encrypted card


@pytest.fixture
async def cards(
    txn_databases: list[Database], networks: Networks, tmp_path: Path, caller: Caller
) -> AsyncIterator[Browsing]:
    simulator, pool = networks.simulators[NETWORK], networks.pools[NETWORK]
    async with browsing(txn_databases, simulator, pool, tmp_path / "keys", caller) as processes:
        yield processes


async def test_a_token_pays_and_is_gone_when_its_attempt_is_recorded(cards: Browsing) -> None:
    token = await cards.token(cards.intent_id())
    kept = await cards.rows(token.id)

    answer = await cards.charges.charge(cards.caller, a_token_wish(token))

    again = await cards.other_charges.charge(cards.caller, a_token_wish(token))
    assert kept == [token.id]
    assert answer.transaction.status is TransactionStatus.SUCCEEDED
    assert (answer.transaction.card.last4, answer.transaction.card_token) == ("4242", token.id)
    assert again == Answer(answer.transaction, is_replay=True)
    assert await cards.rows(token.id) == []
    assert await cards.sent() == 1


async def test_what_is_stored_of_a_card_is_sealed(cards: Browsing) -> None:
    token = await cards.token(cards.intent_id())

    [row] = await cards.database.fetch(
        "select sealed, to_jsonb(k) - 'sealed' as shown from card_tokens k where id = %(id)s",
        id=token.id,
    )

    for secret in (PAN, f'"{CVC}"'):
        assert secret.encode() not in row["sealed"]
        assert secret not in str(row["shown"])
    assert (row["shown"]["card_last4"], row["shown"]["merchant_id"]) == (
        "4242",
        cards.caller.merchant_id,
    )


async def test_two_processes_charge_one_token_once(cards: Browsing) -> None:
    token = await cards.token(cards.intent_id())

    results = await race(
        cards.database,
        HOLD_TOKEN,
        cards.charges.charge(cards.caller, a_token_wish(token)),
        cards.other_charges.charge(cards.caller, a_token_wish(token, "key-2")),
        merchant_id=cards.caller.merchant_id,
        token=token.id,
    )

    [paid] = [result for result in results if isinstance(result, Answer)]
    [refused] = [result for result in results if not isinstance(result, Answer)]
    assert paid.transaction.status is TransactionStatus.SUCCEEDED
    assert isinstance(refused, CardTokenUsed)
    assert (await cards.sent(), await cards.process.count(cards.caller)) == (1, 1)


async def test_one_process_charges_one_token_once_also_within_a_batch(cards: Browsing) -> None:
    token = await cards.token(cards.intent_id())

    results = await asyncio.gather(
        *(
            cards.charges.charge(cards.caller, a_token_wish(token, f"key-{number}"))
            for number in range(10)
        ),
        return_exceptions=True,
    )

    refusals = [type(result) for result in results if not isinstance(result, Answer)]
    assert refusals == [CardTokenUsed] * 9
    assert (await cards.sent(), await cards.process.count(cards.caller)) == (1, 1)


async def test_a_key_with_another_token_is_refused_and_uses_it_not_up(cards: Browsing) -> None:
    first, second = [await cards.token(cards.intent_id()) for _ in range(2)]
    await cards.charges.charge(cards.caller, a_token_wish(first))

    with pytest.raises(IdempotencyKeyReused):
        await cards.charges.charge(cards.caller, a_token_wish(second, body=b"2" * 32))
    paid = await cards.charges.charge(cards.caller, a_token_wish(second, "key-2"))

    assert paid.transaction.status is TransactionStatus.SUCCEEDED


async def test_what_died_after_using_a_token_up_goes_on_with_its_key_alone(
    cards: Browsing,
) -> None:
    token = await cards.token(cards.intent_id())
    begun = await cards.begun(token)

    with pytest.raises(CardTokenUsed):
        await cards.other_charges.charge(cards.caller, a_token_wish(token, "key-2"))
    answer = await cards.other_charges.charge(cards.caller, a_token_wish(token))

    assert answer.transaction.id == begun.id
    assert (answer.is_replay, answer.transaction.status) == (False, TransactionStatus.SUCCEEDED)
    assert await cards.rows(token.id) == []
    assert await cards.sent() == 1


async def test_what_died_before_it_sent_and_lost_its_card_is_given_up(cards: Browsing) -> None:
    """After a crash of PostgreSQL the table of tokens is empty."""
    await cards.database.fetch(LEFT_BY_OTHERS)
    token = await cards.token(cards.intent_id())
    begun = await cards.begun(token)
    await cards.database.fetch("delete from card_tokens where id = %(id)s", id=token.id)

    with pytest.raises(IdempotencyKeyInUse):
        await cards.other_charges.charge(cards.caller, a_token_wish(token))
    with pytest.raises(CardTokenUsed):
        await cards.charges.charge(cards.caller, a_token_wish(token, "key-2"))
    cards.move(60)
    await cards.resolver.give_up_never_recorded(100)
    answer = await cards.charges.charge(cards.caller, a_token_wish(token))

    assert answer.is_replay
    assert (answer.transaction.id, answer.transaction.failure) == (begun.id, ABANDONED)
    assert await cards.sent() == 0


async def test_a_charge_that_is_given_up_takes_its_card_along(cards: Browsing) -> None:
    await cards.database.fetch(LEFT_BY_OTHERS)
    token = await cards.token(cards.intent_id())
    await cards.begun(token)
    cards.move(60)

    await cards.resolver.give_up_never_recorded(100)

    assert await cards.rows(token.id) == []


async def test_a_recorded_attempt_leaves_no_card_behind_when_its_process_dies(
    cards: Browsing,
) -> None:
    token = await cards.token(cards.intent_id())
    begun = await cards.begun(token)

    await cards.process.store.records.submit(a_step(begun))

    assert await cards.rows(token.id) == []
    with pytest.raises(CardTokenUsed):
        await cards.charges.charge(cards.caller, a_token_wish(token, "key-2"))


async def test_an_intent_that_refuses_gives_the_token_back(cards: Browsing) -> None:
    token = await cards.token(cards.intent_id())
    cards.intents.refusal = "PAYMENT_INTENT_UNEXPECTED_STATE"

    with pytest.raises(RemoteError):
        await cards.charges.charge(cards.caller, a_token_wish(token))
    left = await cards.process.count(cards.caller)
    cards.intents.refusal = None
    paid = await cards.other_charges.charge(cards.caller, a_token_wish(token, "key-2"))

    assert left == 0
    assert paid.transaction.status is TransactionStatus.SUCCEEDED


async def test_a_token_pays_for_its_merchant_mode_and_intent_only(cards: Browsing) -> None:
    token = await cards.token(cards.intent_id())
    for_another = a_token_wish(token, intent_id=cards.intent_id())
    strangers = [a_caller(), a_caller("live", cards.caller.merchant_id)]

    for stranger in strangers:
        with pytest.raises(CardTokenUnknown):
            await cards.charges.charge(stranger, a_token_wish(token))
    with pytest.raises(CardTokenForAnotherIntent):
        await cards.charges.charge(cards.caller, for_another)

    assert [await cards.process.count(each) for each in (cards.caller, *strangers)] == [0] * 3
    assert await cards.rows(token.id) == [token.id]


@pytest.mark.parametrize("change", ["mode", "intent", "time", "token"])
async def test_the_statement_itself_takes_no_token_that_is_not_to_be_had(
    cards: Browsing, change: str
) -> None:
    """Whatever was read before: the token may have gone since."""
    token = await cards.token(cards.intent_id())
    if change == "time":
        cards.move(LIFETIME_S)
    changed = {
        "mode": replace(token, mode="live"),
        "intent": replace(token, payment_intent_id=cards.intent_id()),
        "time": token,
        "token": replace(token, id=CardTokenId(new_id("tok", cards.caller.merchant_id))),
    }

    with pytest.raises(IdempotencyKeyInUse):
        await cards.begun(changed[change])

    assert await cards.process.count(cards.caller) == 0


async def test_a_token_works_for_a_quarter_of_an_hour(cards: Browsing) -> None:
    token, last = [await cards.token(cards.intent_id()) for _ in range(2)]
    cards.move(token.expires - cards.process.clock.now().timestamp() - 1)
    paid = await cards.charges.charge(cards.caller, a_token_wish(last))
    cards.move(1)

    with pytest.raises(CardTokenExpired):
        await cards.charges.charge(cards.caller, a_token_wish(token, "key-2"))
    await cards.tokens.purge()
    cards.move(60)  # its id is a little younger than what it says of itself
    with pytest.raises(CardTokenExpired):
        await cards.charges.charge(cards.caller, a_token_wish(token, "key-2"))

    assert paid.transaction.status is TransactionStatus.SUCCEEDED
    assert await cards.rows(token.id) == []
    assert await cards.process.count(cards.caller) == 1


async def test_a_purge_takes_what_is_over_and_waits_for_nobody(cards: Browsing) -> None:
    old, held = [await cards.token(cards.intent_id()) for _ in range(2)]
    cards.move(60)
    young = await cards.token(cards.intent_id())
    cards.move(LIFETIME_S - 60)

    async with cards.database.transaction() as charging:
        await charging.execute(
            sa.text("select from card_tokens where id = :id for update"), {"id": held.id}
        )
        await asyncio.wait_for(cards.tokens.purge(), 10)
        left = await cards.rows(old.id, held.id, young.id)
    await cards.other_tokens.purge()

    assert left == sorted([held.id, young.id])
    assert await cards.rows(old.id, held.id, young.id) == [young.id]


async def test_two_processes_take_an_encrypted_card_once(cards: Browsing) -> None:
    intent_id, nonce = cards.intent_id(), str(uuid.uuid4())
    wish = await cards.wish(intent_id, nonce)

    results = await race(
        cards.database,
        HOLD_NONCE,
        cards.tokens.create(cards.caller, wish),
        cards.other_tokens.create(cards.caller, wish),
        nonce=nonce,
    )

    [refused] = [result for result in results if isinstance(result, BaseException)]
    assert isinstance(refused, EncryptedCardReused)


async def test_an_encrypted_card_is_taken_once_within_a_batch_and_by_anyone(
    cards: Browsing,
) -> None:
    stranger = a_caller()
    wishes = [await cards.wish(cards.intent_id(), "n" * 36) for _ in range(5)]

    results = await asyncio.gather(
        *(cards.tokens.create(cards.caller, wish) for wish in wishes), return_exceptions=True
    )
    with pytest.raises(EncryptedCardReused):
        await cards.tokens.create(stranger, wishes[0])
    await cards.database.fetch("delete from card_nonces where nonce = %(nonce)s", nonce="n" * 36)

    refusals = [type(result) for result in results if isinstance(result, BaseException)]
    assert refusals == [EncryptedCardReused] * 4


@pytest.mark.parametrize("made_ahead_s", [0, 299])
async def test_a_nonce_is_remembered_as_long_as_its_card_is_good(
    cards: Browsing, made_ahead_s: int
) -> None:
    """Also where the clock of the process that purges is half a minute ahead."""
    wish = await cards.wish(cards.intent_id(), age_s=-made_ahead_s)
    await cards.tokens.create(cards.caller, wish)
    born = int(cards.process.clock.now().timestamp()) + made_ahead_s
    cards.move(born + AGE_S_MAX - cards.process.clock.now().timestamp())
    cards.other.clock.move(30)

    await cards.other_tokens.purge()
    with pytest.raises(EncryptedCardReused):
        await cards.tokens.create(cards.caller, wish)
    cards.move(0.001)
    with pytest.raises(EncryptedCardExpired):
        await cards.tokens.create(cards.caller, wish)


async def test_nonces_are_forgotten_when_their_cards_are_too_old(cards: Browsing) -> None:
    nonce = str(uuid.uuid4())
    await cards.tokens.create(cards.caller, await cards.wish(cards.intent_id(), nonce))
    cards.move(AGE_S_MAX + 61)

    await cards.tokens.purge()

    assert not await cards.database.fetch(
        "select from card_nonces where nonce = %(nonce)s", nonce=nonce
    )


async def test_nothing_is_decrypted_or_used_up_for_a_wrong_secret(cards: Browsing) -> None:
    wish = await cards.wish(cards.intent_id())
    wrong = replace(wish, client_secret=wish.client_secret + "0", encrypted_card="no JWE at all")

    with pytest.raises(RemoteError) as refused:
        await cards.tokens.create(cards.caller, wrong)

    assert (refused.value.reason, refused.value.param) == ("RESOURCE_MISSING", "paymentIntentId")
    await cards.tokens.create(cards.caller, wish)


@pytest.mark.parametrize("column", ["sealed", "payment_intent_id", "mode"])
async def test_a_card_opens_in_no_other_row(cards: Browsing, column: str) -> None:
    """Whoever can write to the database can't let one customer's card pay for another's order."""
    stolen, mine = [await cards.token(cards.intent_id()) for _ in range(2)]
    caller = a_caller("live", cards.caller.merchant_id) if column == "mode" else cards.caller
    changes = {
        "sealed": "sealed = (select sealed from card_tokens where id = %(stolen)s)",
        "payment_intent_id": "payment_intent_id = %(stolen_intent)s",
        "mode": "mode = 'live'",
    }
    await cards.database.fetch(
        f"update card_tokens set {changes[column]} where id = %(mine)s",  # noqa: S608 ours
        mine=mine.id,
        stolen=stolen.id,
        stolen_intent=stolen.payment_intent_id,
    )
    intent_id = stolen.payment_intent_id if column == "payment_intent_id" else None

    with pytest.raises(SealBroken):
        await cards.charges.charge(caller, a_token_wish(mine, intent_id=intent_id))

    assert await cards.process.count(caller) == 0


async def test_tokens_are_in_no_wal_and_neither_they_nor_nonces_in_a_publication(
    cards: Browsing,
) -> None:
    rows = await cards.database.fetch(
        "select relname as name, relpersistence as kept from pg_class "
        "where relname like 'card\\_%%' and relkind = 'r'"
    )
    published = await cards.database.fetch(
        "select tablename as name from pg_publication_tables where pubname = 'paymesh_txn'"
    )

    assert {row["name"]: row["kept"] for row in rows} == {
        "card_tokens": "u",
        "card_nonces": "p",
        "card_envelopes": "p",
    }
    assert {row["name"] for row in published} == {
        *("outbox", "transactions", "attempts", "heartbeats", "debezium_signals")
    }
