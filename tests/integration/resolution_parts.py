"""Two processes of txn_svc that resolve attempts over the simulated networks, on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis.database import Database
from chassis.identity import Caller
from chassis.ids import PaymentIntentId, new_id
from tests.integration.authz_client import free_port
from tests.integration.network_parts import ASKABLE, RULES, Simulator, a_pool, card_fields
from tests.integration.txn_parts import FakeIntents, TxnProcess, a_step, a_wish
from txn_svc.clients import IntentClient
from txn_svc.domain.attempt import Attempt, AttemptStatus, ReversalReason
from txn_svc.domain.transaction import Transaction
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.card_tokens import CardTokenHandlers
from txn_svc.handlers.charges import ChargeHandlers
from txn_svc.networks.pool import NetworkPool
from txn_svc.store.rows import Step

TIMED_OUT = ReversalReason.RESPONSE_TIMEOUT
UNANSWERED_S = 3  # past every deadline of these networks
RULES_BY_NETWORK = {"visa_sim": RULES, "mastercard_sim": ASKABLE}


@dataclass(frozen=True, slots=True)
class Networks:
    """The simulated networks, and each of two processes' own connections to them."""

    simulators: dict[str, Simulator]
    pools: dict[str, NetworkPool]
    other_pools: dict[str, NetworkPool]


@dataclass(frozen=True, slots=True)
class Resolving:
    """Two processes, and the neighbour whose intents they charge for."""

    caller: Caller
    intents: FakeIntents
    networks: Networks
    process: TxnProcess
    resolver: AttemptHandlers
    charges: ChargeHandlers
    tokens: CardTokenHandlers
    other: TxnProcess
    other_resolver: AttemptHandlers
    other_charges: ChargeHandlers

    def move(self, seconds: float) -> None:
        """Let time pass for both processes."""
        self.process.clock.move(seconds)
        self.other.clock.move(seconds)

    async def charged(self, network: str, behavior: str, key: str = "key-1") -> Attempt:
        """Charge a card and return the attempt; its deadline is over for whoever resolves it."""
        intent_id = PaymentIntentId(new_id("pi", self.caller.merchant_id))
        wish = a_wish(intent_id, card_fields(network, behavior), key=key)
        answer = await self.charges.charge(self.caller, wish)
        self.move(UNANSWERED_S)
        return await self.attempt(answer.transaction)

    async def recorded(
        self, network: str = "visa_sim", key: str = "key-1", *, accepts_part: bool = False
    ) -> Step:
        """Return a stored attempt that its process died over before it sent anything."""
        begun = await self.process.begun(self.caller, key)
        step = a_step(begun, network, accepts_part=accepts_part)
        await self.process.store.records.submit(step)
        return step

    async def attempt(self, of: Transaction | Attempt) -> Attempt:
        """Return the attempt as the database has it."""
        return (await self.exchange(of))[1]

    async def exchange(self, of: Transaction | Attempt) -> tuple[Transaction, Attempt]:
        """Return a transaction and its attempt as the database has them."""
        id_ = of.id if isinstance(of, Transaction) else of.transaction_id
        transaction, attempt, _ = await self.process.store.reads.submit(
            (self.caller.merchant_id, id_)
        )
        assert attempt is not None
        return transaction, attempt

    async def reverse(self, attempt: Attempt) -> Attempt:
        """Let an attempt be undone for want of an answer."""
        return await self.resolver.reverse(attempt.merchant_id, attempt.id, TIMED_OUT)

    async def send_due(self, handlers: AttemptHandlers | None = None) -> int:
        """Send what is due of the merchant's reversals, once; return how many there were."""
        handlers = handlers or self.resolver
        claimed = [attempt for _, attempt in await handlers.claim_reversals(1000)]
        mine = [attempt for attempt in claimed if attempt.merchant_id == self.caller.merchant_id]
        for attempt in mine:
            await handlers.send_reversal(attempt)
        return len(mine)

    async def book(self, attempt: Attempt) -> dict[str, object]:
        """Return what stands in the issuers' books for an attempt."""
        rows = await self.networks.simulators[attempt.network].ledger()
        [row] = [row for row in rows if row["rrn"] == attempt.rrn]
        return row

    async def until_booked(self, attempt: Attempt, messages: int) -> None:
        """Wait until the network has got so many messages about an attempt."""
        for _ in range(1000):
            got = (await self.book(attempt))["messages"]
            assert isinstance(got, list)
            if len(got) >= messages:
                return
            await asyncio.sleep(0.01)
        pytest.fail("the network did not get the message")

    async def until_settled(self, attempt: Attempt) -> None:
        """Wait until an attempt is no more unanswered."""
        for _ in range(300):
            if (await self.attempt(attempt)).status is not AttemptStatus.TIMEOUT:
                return
            await asyncio.sleep(0.1)
        pytest.fail("no answer came")

    async def history(self, attempt: Attempt) -> list[str]:
        """Return the types of the events about an attempt, in the order of their versions."""
        events = await self.process.history(attempt.payment_intent_id)
        versions = [version for version, _ in events]
        assert versions == sorted(set(versions))
        return [type_.removeprefix("attempt.") for _, type_ in events]


def said(attempt: Attempt) -> list[tuple[str, str | None]]:
    """Return type and response code of the messages of an attempt."""
    for message in attempt.messages:
        assert message.is_sent == (message.response_code is None)
    return [(message.mti, message.response_code) for message in attempt.messages]


@asynccontextmanager
async def running_networks(folder: Path) -> AsyncIterator[Networks]:
    """Run every simulated network, with two processes' connections to each."""
    async with AsyncExitStack() as stack:
        networks = Networks({}, {}, {})
        for name, rules in RULES_BY_NETWORK.items():
            simulator = Simulator(name, free_port(), free_port(), folder)
            stack.enter_context(simulator.running())
            networks.simulators[name] = simulator
            for pools in (networks.pools, networks.other_pools):
                pools[name] = await stack.enter_async_context(a_pool(simulator, rules))
        yield networks


@asynccontextmanager
async def two_processes(
    databases: list[Database], networks: Networks, caller: Caller
) -> AsyncIterator[Resolving]:
    """Lend two processes that take stray replies as services do."""
    intents = FakeIntents()
    process, other = (TxnProcess(database) for database in databases)
    async with intents.served() as channel:
        resolvers = []
        for one, pools in ((process, networks.pools), (other, networks.other_pools)):
            resolvers.append(one.resolver(IntentClient(channel), pools))
            for pool in pools.values():
                pool.on_stray = resolvers[-1].take_stray
        yield Resolving(
            caller,
            intents,
            networks,
            process,
            resolvers[0],
            process.handlers(channel, networks.pools),
            process.tokens(IntentClient(channel)),
            other,
            resolvers[1],
            other.handlers(channel, networks.other_pools),
        )
        for resolver in resolvers:
            await resolver.stop()
