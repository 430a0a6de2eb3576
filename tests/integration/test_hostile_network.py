"""Connections to a network that sends what it must not: a bad byte costs one connection at most."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date

import iso8583
import pytest
import sqlalchemy as sa

from chassis.certificates import server_context
from chassis.database import Database
from chassis.identity import Caller
from chassis.money import Money
from chassis.networks import NetworkRules
from sandbox.networks.certificates import network_files
from sandbox.networks.dialect import SPECIFICATIONS
from tests.integration.network_parts import (
    ASKABLE,
    NETWORKS,
    RULES,
    a_link,
    card_fields,
    network_tls,
    signed_on,
)
from tests.integration.races import until_waiting
from tests.integration.txn_parts import HOLD_ATTEMPT, FakeIntents, TxnProcess, a_step
from txn_svc.clients import IntentClient
from txn_svc.domain.attempt import Attempt, AttemptEvent, AttemptStatus, ReversalReason
from txn_svc.domain.card import check_card
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.networks.messages import AuthorizationResponse
from txn_svc.networks.pool import CardNetworkUnavailable, NetworkPool, NoAnswer

pytestmark = pytest.mark.integration

CARD = check_card(card_fields("visa_sim", "approved"), date(2026, 11, 24))
USD = Money(1099, "usd")

Elements = dict[str, str]


@dataclass
class HostileNetwork:
    """Lets everybody in, and answers an authorization with whatever bytes it is told to send."""

    name: str
    said: Callable[[HostileNetwork, Elements], bytes] = lambda *_: b""
    requests: list[Elements] = field(default_factory=list)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)
    is_gone: bool = False
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    def approval(self, request: Elements, **changes: str) -> Elements:
        """Return a good answer but for the changes."""
        echoed = {name: request[name] for name in ("4", "7", "11", "32", "37", "41", "49")}
        return {"t": "0110", "39": "00", "38": "123456", **echoed, **changes}

    def framed(self, elements: Elements) -> bytes:
        """Return a message as it goes onto the connection."""
        raw, _ = iso8583.encode(elements, SPECIFICATIONS[self.name])
        return struct.pack(">H", len(raw)) + bytes(raw)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes."""
        if self.is_gone:
            writer.close()
            return
        self.connections.append(writer)
        async with self.came:
            self.came.notify_all()
        try:
            while True:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                message = await reader.readexactly(length)
                request, _ = iso8583.decode(message, SPECIFICATIONS[self.name])
                if request["t"] == "0800":
                    reply = {**request, "t": "0810", "39": "00"}
                    writer.write(self.framed({k: v for k, v in reply.items() if k not in "p1h"}))
                else:
                    self.requests.append(request)
                    writer.write(self.said(self, request))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def connected(self, times: int) -> None:
        """Wait until clients have connected so often."""
        async with asyncio.timeout(30), self.came:
            await self.came.wait_for(lambda: len(self.connections) >= times)

    async def go_away(self, pool: NetworkPool) -> None:
        """Close every connection, take no more, and wait until the client has seen it."""
        self.is_gone = True
        for writer in self.connections:
            writer.close()
        for _ in range(1000):
            try:
                with pool.reserve():
                    await asyncio.sleep(0.01)
            except CardNetworkUnavailable:
                return
        pytest.fail("the client has not seen that its connection is closed")

    @asynccontextmanager
    async def pool(
        self, *, connections: int = 1, rules: NetworkRules = RULES
    ) -> AsyncIterator[NetworkPool]:
        """Lend a pool that is let in."""
        server = await asyncio.start_server(
            self.serve,
            "127.0.0.1",
            0,
            ssl=server_context(network_files(network_tls(self.name), "network")),
        )
        port = server.sockets[0].getsockname()[1]
        pool = NetworkPool(
            self.name, a_link(self.name, f"127.0.0.1:{port}"), rules, connections=connections
        )
        await pool.start()
        try:
            await signed_on(pool)
            yield pool
        finally:
            await pool.stop()
            server.close()


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> HostileNetwork:
    return HostileNetwork(request.param)


async def _authorize(pool: NetworkPool) -> AuthorizationResponse:
    with pool.reserve() as reservation:
        return await reservation.authorize(CARD, USD, math.inf)


def _framed(raw: bytes) -> bytes:
    return struct.pack(">H", len(raw)) + raw


def _bad_bitmap(network: HostileNetwork, request: Elements) -> bytes:
    """A bitmap that promises elements which do not come."""
    good = network.framed(network.approval(request))[2:]
    everything = b"F" * 16 if network.name == "visa_sim" else b"\xff" * 8
    return _framed(good[:4] + everything + good[4 + len(everything) :])


def _bad_letters(network: HostileNetwork, request: Elements) -> bytes:
    """A bitmap that is no number, or names an element that nobody knows."""
    good = network.framed(network.approval(request))[2:]
    size = 16 if network.name == "visa_sim" else 8
    return _framed(good[:4] + b"\x5a" * size + good[4 + size :])


def _short(network: HostileNetwork, request: Elements) -> bytes:
    """An element of a length that is longer than what is left."""
    return _framed(network.framed(network.approval(request))[2:-3])


def _control_characters(network: HostileNetwork, request: Elements) -> bytes:
    return network.framed(network.approval(request, **{"38": "12\x00456"}))


def _echo(network: HostileNetwork, request: Elements) -> bytes:
    """Our own request again, which looks like an answer in all that names an exchange."""
    return network.framed({k: v for k, v in request.items() if k not in "p1h"})


def _of_other_kind(mti: str) -> Callable[[HostileNetwork, Elements], bytes]:
    return lambda network, request: network.framed(
        network.approval(request, **{"t": mti, "39": "05"})
    )


def _foreign(name: str, value: str) -> Callable[[HostileNetwork, Elements], bytes]:
    return lambda network, request: network.framed(
        network.approval(request, **{name: value, "39": "05"})
    )


def _without(name: str) -> Callable[[HostileNetwork, Elements], bytes]:
    def said(network: HostileNetwork, request: Elements) -> bytes:
        answer = network.approval(request, **{"39": "05"})
        del answer[name]
        return network.framed(answer)

    return said


@pytest.mark.parametrize(
    "said",
    [
        _bad_bitmap,
        _bad_letters,
        _short,
        _control_characters,
        lambda *_: _framed(b"\x00" * 40),
        lambda *_: _framed(b"0"),
    ],
    ids=["bad bitmap", "bad letters", "too short", "control characters", "zeros", "one byte"],
)
async def test_a_message_that_can_not_be_read_answers_nothing_and_the_next_one_does(
    network: HostileNetwork, said: Callable[[HostileNetwork, Elements], bytes]
) -> None:
    network.said = lambda self, request: said(self, request) + self.framed(self.approval(request))

    async with network.pool() as pool:
        response = await _authorize(pool)

    assert response.response_code == "00"
    assert len(network.connections) == 1
    assert pool.unmatched == []


@pytest.mark.parametrize(
    "said",
    [
        _echo,
        _of_other_kind("0130"),
        _of_other_kind("0100"),
        _of_other_kind("0119"),
        _of_other_kind("9999"),
        _foreign("11", "999999"),
        _foreign("37", "ZZZZZZZZZZZZ"),
        _foreign("41", "PZZZZZZZ"),
        _foreign("7", "0101000000"),
        _without("37"),
        _without("41"),
    ],
    ids=[
        *("our own request", "an advice's response", "a request", "unknown version of it"),
        *("unknown kind", "STAN", "RRN", "terminal", "time", "no RRN", "no terminal"),
    ],
)
async def test_a_message_that_matches_nothing_is_kept_and_answers_nothing(
    network: HostileNetwork, said: Callable[[HostileNetwork, Elements], bytes]
) -> None:
    network.said = lambda self, request: said(self, request) + self.framed(self.approval(request))

    async with network.pool() as pool:
        strays: list[Elements] = []
        pool.on_stray = lambda _, elements: strays.append(elements)
        response = await _authorize(pool)

    assert response.response_code == "00"
    assert len(strays) == len(pool.unmatched) == 1
    assert not any("2" in kept or "48" in kept for kept in pool.unmatched), "card data was kept"


@pytest.mark.parametrize(
    "prefix",
    [b"\x00\x00", b"\xff\xff", struct.pack(">I", 1_048_576) + b"0110" * 8],
    ids=["nothing", "64 kB", "1 MB in four bytes"],
)
async def test_a_length_that_can_not_be_costs_its_connection_and_no_other(
    network: HostileNetwork, prefix: bytes
) -> None:
    def said(self: HostileNetwork, request: Elements) -> bytes:
        return prefix if len(self.requests) == 1 else self.framed(self.approval(request))

    network.said = said
    async with network.pool(connections=2) as pool:
        await network.connected(2)
        with pytest.raises(NoAnswer):
            await _authorize(pool)
        others = [await _authorize(pool) for _ in range(4)]
        await network.connected(3)

    assert {answer.response_code for answer in others} == {"00"}
    assert [writer.is_closing() for writer in network.connections].count(True) >= 1


async def test_half_a_message_and_then_the_end_is_no_answer(network: HostileNetwork) -> None:
    def said(self: HostileNetwork, request: Elements) -> bytes:
        self.connections[-1].write(self.framed(self.approval(request))[:20])
        self.connections[-1].close()
        return b""

    network.said = said
    async with network.pool() as pool:
        with pytest.raises(NoAnswer):
            await _authorize(pool)


@asynccontextmanager
async def _unanswered(
    databases: list[Database], pool: NetworkPool, caller: Caller
) -> AsyncIterator[tuple[TxnProcess, AttemptHandlers, Attempt]]:
    """Lend a process, and an attempt whose deadline is over."""
    process = TxnProcess(databases[0])
    step = a_step(await process.begun(caller), pool.name)
    await process.store.records.submit(step)
    process.clock.move(10)
    async with FakeIntents().served() as channel:
        yield process, process.resolver(IntentClient(channel), {pool.name: pool}), step.attempt


@pytest.mark.parametrize("code", ["00", "05", "12", "30"])
async def test_an_answer_to_an_inquiry_that_names_no_exchange_is_about_the_inquiry_itself(
    txn_databases: list[Database], caller: Caller, code: str
) -> None:
    network = HostileNetwork("mastercard_sim")
    network.said = lambda self, request: self.framed(self.approval(request, **{"39": code}))

    async with (
        network.pool(rules=ASKABLE) as pool,
        _unanswered(txn_databases, pool, caller) as (process, resolver, attempt),
    ):
        outcome, _ = await resolver.inquire(attempt.merchant_id, attempt.id)
        [after] = await process.attempts(caller)

    assert outcome is not None
    assert outcome.event is AttemptEvent.NO_ANSWER
    assert after["status"] == AttemptStatus.TIMEOUT


async def test_an_advice_whose_connection_is_gone_before_the_write_was_not_sent(
    txn_databases: list[Database], caller: Caller
) -> None:
    network = HostileNetwork("visa_sim")
    async with (
        network.pool() as pool,
        _unanswered(txn_databases, pool, caller) as (process, resolver, attempt),
    ):
        await resolver.reverse(attempt.merchant_id, attempt.id, ReversalReason.RESPONSE_TIMEOUT)
        [claimed] = [
            claimed
            for _, claimed in await resolver.claim_reversals(1000)
            if claimed.merchant_id == caller.merchant_id
        ]
        async with process.database.transaction() as holder:
            await holder.execute(sa.text(HOLD_ATTEMPT), {"id": attempt.id})
            sending = asyncio.create_task(resolver.send_reversal(claimed))
            await until_waiting(process.database, [sending])
            await network.go_away(pool)
        await sending
        _, after, _ = await process.store.reads.submit((caller.merchant_id, attempt.transaction_id))

    assert after is not None
    assert after.reversal is not None
    assert (after.messages, after.reversal.tries) == ((), 1)
    assert network.requests == []
