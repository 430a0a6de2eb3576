"""Card envelopes come under a new key while charges go on, and the old key ends after that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import sqlalchemy as sa

from chassis.database import Database
from chassis.errors import ResourceMissing
from chassis.identity import Caller
from chassis.ids import Kid
from chassis.keystore.keys import Purpose, State
from chassis.keystore.store import KeyStore
from tests.fakes import FakeClock
from tests.integration.keystore.parts import Ground, rotate_fully, wait_until_retirable
from tests.integration.races import until_waiting
from tests.integration.txn_parts import AGE_MAX, APPROVED, PAN, TxnProcess, a_step, after
from txn_svc.cards.card_keys import CardKeys
from txn_svc.cards.envelope import Envelope, Owner, seal_pan
from txn_svc.domain.card import Pan
from txn_svc.domain.card_key import CardKeyInUse
from txn_svc.handlers.card_keys import CardKeyHandlers
from txn_svc.handlers.kept_pans import KeptPans
from txn_svc.store.envelopes import EnvelopeStore
from txn_svc.store.rows import Step

pytestmark = pytest.mark.integration

HOLD = "select from card_envelopes where transaction_id = :id for update"
COUNT = "select kid, count(*) as number from card_envelopes where merchant_id = %(id)s group by kid"

TOKEN = """
insert into card_tokens (merchant_id, id, mode, payment_intent_id, kid, sealed, card_brand,
    card_last4, card_exp_month, card_exp_year, created, expires)
values (%(merchant)s, 'tok_1', 'test', 'pi_1', %(kid)s, '', 'visa', '4242', 12, 2034, now(),
    now() + interval '1 minute')
"""


class Killed(Exception):
    """The process dies here."""


@dataclass
class Vault:
    """A merchant's open charges, whose cards a key store has wrapped, and what keeps them."""

    caller: Caller
    store: KeyStore[Any]
    clock: FakeClock
    process: TxnProcess
    card_keys: CardKeys
    envelopes: EnvelopeStore
    pans: KeptPans
    handlers: CardKeyHandlers
    steps: list[Step] = field(default_factory=list)

    async def open_charges(self, number: int) -> None:
        """Record attempts that nothing has come of yet."""
        for place in range(number):
            step = a_step(await self.process.begun(self.caller, f"key-{len(self.steps)}-{place}"))
            owner = Owner(step.transaction.merchant_id, step.transaction.id)
            sealed = seal_pan(Pan(PAN), owner, self.store)
            self.steps.append(replace(step, envelope=sealed))
            await self.process.store.records.submit(self.steps[-1])

    def kid(self, state: State) -> Kid:
        """Return the key of envelopes that is in a state."""
        [kid] = [
            info.kid
            for info in self.store.list_keys()
            if (info.purpose, info.state) == (Purpose.PAN_ENVELOPE, state)
        ]
        return kid

    def rotate(self) -> None:
        """Let a new key of envelopes take over."""
        rotate_fully(self.store, self.clock, Purpose.PAN_ENVELOPE)

    async def counted(self) -> dict[Kid, int]:
        """Return how many of the merchant's envelopes each key wraps."""
        rows = await self.process.database.fetch(COUNT, id=self.caller.merchant_id)
        return {row["kid"]: row["number"] for row in rows}

    async def found(self) -> set[Pan | None]:
        """Return the numbers that messages of the open charges would have."""
        return {await self.pans.find(step.attempt) for step in self.steps}

    async def end(self, step: Step) -> bool:
        """Let the network approve a charge, which ends it."""
        return await self.process.store.moves.submit(after(step, APPROVED))

    async def rewrap_with(self, renew: Any) -> list[Owner]:
        """Rewrap a batch of the retiring key's, as a process does that works like this."""
        return await self.envelopes.rewrap(self.kid(State.RETIRING), None, 16, renew)


@pytest.fixture
async def vault(
    store: KeyStore[Any], ground: Ground, txn_databases: list[Database], caller: Caller
) -> AsyncIterator[Vault]:
    process = TxnProcess(txn_databases[0], ground.clock)
    card_keys = CardKeys(store, ground.clock)
    envelopes = EnvelopeStore(txn_databases[0], ground.clock)
    pans = KeptPans(envelopes, card_keys, ground.clock, AGE_MAX)
    handlers = CardKeyHandlers(envelopes, card_keys)
    yield Vault(caller, store, ground.clock, process, card_keys, envelopes, pans, handlers)
    await card_keys.close()


async def test_a_rotation_is_followed_by_every_envelope_and_then_the_old_key_ends(
    vault: Vault,
) -> None:
    await vault.open_charges(20)
    vault.rotate()
    old, new = vault.kid(State.RETIRING), vault.kid(State.CURRENT)
    before = await vault.handlers.count_rows()
    with pytest.raises(CardKeyInUse, match="20 rows are still read with"):
        await vault.handlers.retire(old)

    looked_at = await vault.pans.rewrap()
    again = await vault.pans.rewrap()
    with pytest.raises(CardKeyInUse, match="retiring for 60 minutes"):
        await vault.handlers.retire(old)
    wait_until_retirable(vault.clock)
    await vault.handlers.retire(old)

    counts = await vault.handlers.count_rows()
    assert (before[old], before.get(new)) == (20, None)
    assert (looked_at, again) == (20, 0)
    assert (counts.get(old), counts[new]) == (None, 20)
    assert old not in {info.kid for info in vault.store.list_keys()}
    assert await vault.found() == {Pan(PAN)}


async def test_a_key_is_not_destroyed_while_a_row_is_left_however_long_it_retires(
    vault: Vault,
) -> None:
    await vault.open_charges(1)
    vault.rotate()
    wait_until_retirable(vault.clock)

    with pytest.raises(CardKeyInUse, match="1 rows"):
        await vault.handlers.retire(vault.kid(State.RETIRING))
    await vault.end(vault.steps[0])
    await vault.handlers.retire(vault.kid(State.RETIRING))

    with pytest.raises(CardKeyInUse):
        await vault.handlers.retire(vault.kid(State.CURRENT))
    with pytest.raises(ResourceMissing):
        await vault.handlers.retire(Kid("kid_1"))


async def test_card_tokens_hold_the_key_that_sealed_them(vault: Vault) -> None:
    retiring = next(
        info.kid for info in vault.store.list_keys() if info.purpose is Purpose.TOKEN_ENCRYPTION
    )
    await vault.process.database.fetch(
        TOKEN,
        merchant=vault.caller.merchant_id,
        kid=retiring,
    )
    rotate_fully(vault.store, vault.clock, Purpose.TOKEN_ENCRYPTION)
    wait_until_retirable(vault.clock)

    with pytest.raises(CardKeyInUse, match="1 rows"):
        await vault.handlers.retire(retiring)
    await vault.process.database.fetch(
        "delete from card_tokens where merchant_id = %(id)s", id=vault.caller.merchant_id
    )
    await vault.handlers.retire(retiring)

    assert retiring not in {info.kid for info in vault.store.list_keys()}


async def test_a_process_that_dies_while_it_rewraps_leaves_all_as_it_was(vault: Vault) -> None:
    await vault.open_charges(3)
    vault.rotate()

    async def die(envelopes: Sequence[Envelope]) -> Sequence[Envelope | None]:
        await vault.card_keys.rewrap(envelopes)
        raise Killed

    with pytest.raises(Killed):
        await vault.rewrap_with(die)
    after_death = await vault.counted()
    found = await vault.found()
    await vault.pans.rewrap()

    assert after_death == {vault.kid(State.RETIRING): 3}
    assert found == await vault.found() == {Pan(PAN)}
    assert await vault.counted() == {vault.kid(State.CURRENT): 3}


async def test_a_charge_that_ends_while_it_is_rewrapped_leaves_nothing(vault: Vault) -> None:
    await vault.open_charges(2)
    vault.rotate()
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def renew(envelopes: Sequence[Envelope]) -> Sequence[Envelope | None]:
        at_it.set()
        await go_on.wait()
        return await vault.card_keys.rewrap(envelopes)

    rewrapping = asyncio.create_task(vault.rewrap_with(renew))
    await at_it.wait()
    ending = asyncio.create_task(vault.end(vault.steps[0]))
    await until_waiting(vault.process.database, [ending])
    reading = await vault.found()
    go_on.set()

    assert len(await rewrapping) == 2
    assert await ending
    assert reading == {Pan(PAN)}
    assert await vault.counted() == {vault.kid(State.CURRENT): 1}
    assert await vault.pans.find(vault.steps[1].attempt) == Pan(PAN)


async def test_what_another_process_is_at_is_left_to_it(vault: Vault) -> None:
    await vault.open_charges(3)
    vault.rotate()

    async with vault.process.database.transaction() as other:
        await other.execute(sa.text(HOLD), {"id": vault.steps[1].transaction.id})
        looked_at = await vault.pans.rewrap()
    between = await vault.counted()
    rest = await vault.pans.rewrap()

    assert (looked_at, rest) == (2, 1)
    assert between == {vault.kid(State.RETIRING): 1, vault.kid(State.CURRENT): 2}
    assert await vault.counted() == {vault.kid(State.CURRENT): 3}


async def test_two_processes_rewrap_each_envelope_once(vault: Vault) -> None:
    await vault.open_charges(40)
    vault.rotate()

    numbers = await asyncio.gather(vault.pans.rewrap(), vault.pans.rewrap())

    assert sum(numbers) == 40
    assert await vault.counted() == {vault.kid(State.CURRENT): 40}
    assert await vault.found() == {Pan(PAN)}


async def test_an_envelope_that_can_not_be_opened_holds_up_no_other_and_is_told(
    vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    await vault.open_charges(20)
    broken = min(step.transaction.id for step in vault.steps)
    await vault.process.database.fetch(
        "update card_envelopes set wrapped_key = decode(repeat('00', 40), 'hex')"
        " where transaction_id = %(id)s",
        id=broken,
    )
    vault.rotate()

    await vault.pans.rewrap()

    assert await vault.counted() == {vault.kid(State.RETIRING): 1, vault.kid(State.CURRENT): 19}
    [said] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert said.getMessage() == "a card envelope can't be rewrapped"
    assert getattr(said, "transaction_id", None) == broken
