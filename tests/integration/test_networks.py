"""The connections to card networks against the simulated ones, each its own process over TCP."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from chassis.money import Money
from txn_svc.domain.card import Card, CardFields, check_card
from txn_svc.networks.messages import AuthorizationResponse
from txn_svc.networks.pool import CardNetworkUnavailable, NetworkPool, NoAnswer

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
USD = Money(1099, "usd")
TIMEOUT_S = 1.0
NETWORKS = ["visa_sim", "mastercard_sim"]
CARDS = {
    "approved": ("4242424242424242", "5555555555554444"),
    "answer lost": ("4000000000990012", "5200000000990017"),
    "answer late": ("4000000000990020", "5200000000990025"),
    "answer twice": ("4000000000990038", "5200000000990033"),
    "never received": ("4000000000990046", "5200000000990041"),
    "closed": ("4000000000990087", "5200000000990082"),
    "slow": ("4000000000990111", "5200000000990116"),
    "half": ("4000000000990129", "5200000000990124"),
}


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulated network."""

    name: str
    port: int
    admin_port: int
    folder: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the network's process."""
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.networks", self.name),
                *("--listen", self.address, "--admin", f"127.0.0.1:{self.admin_port}"),
                *("--state-dir", str(self.folder), "--client-timeout-s", str(TIMEOUT_S)),
            ],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)

    async def ledger(self) -> list[dict[str, object]]:
        """Return the issuers' books."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.admin_port}/ledger") as answer,
        ):
            rows: list[dict[str, object]] = await answer.json()
            return rows


@pytest.fixture(params=NETWORKS)
def simulator(request: pytest.FixtureRequest, tmp_path: Path) -> Simulator:
    return Simulator(request.param, _free_port(), _free_port(), tmp_path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _card(simulator: Simulator, behavior: str) -> Card:
    number = CARDS[behavior][NETWORKS.index(simulator.name)]
    return check_card(CardFields(number, 12, 2034, "123"), date(2026, 11, 24))


@asynccontextmanager
async def _pool(simulator: Simulator, *, connections: int = 2) -> AsyncIterator[NetworkPool]:
    pool = NetworkPool(
        simulator.name, [simulator.address], timeout_s=TIMEOUT_S, connections=connections
    )
    await pool.start()
    try:
        await _signed_on(pool)
        yield pool
    finally:
        await pool.stop()


async def _signed_on(pool: NetworkPool) -> None:
    for _ in range(200):
        try:
            reservation = pool.reserve()
        except CardNetworkUnavailable:
            await asyncio.sleep(0.05)
        else:
            with reservation:
                return
    pytest.fail("the network did not let us in")


async def _authorize(pool: NetworkPool, card: Card) -> AuthorizationResponse:
    with pool.reserve() as reservation:
        return await reservation.authorize(card, USD)


async def test_an_approval_comes_back_with_its_code_and_stands_in_the_books(
    simulator: Simulator,
) -> None:
    with simulator.running():
        async with _pool(simulator) as pool:
            response = await _authorize(pool, _card(simulator, "approved"))
        [row] = await simulator.ledger()

    assert (response.response_code, response.amount_minor) == ("00", 1099)
    assert len(response.approval_code or "") == 6
    assert (row["amount"], row["approved"], row["reversed"]) == (1099, True, False)
    assert "…" in str(row["card"])


async def test_many_requests_in_flight_each_get_their_own_answer(simulator: Simulator) -> None:
    with simulator.running():
        async with _pool(simulator) as pool:
            slow = _card(simulator, "slow")
            fast = _card(simulator, "approved")
            late_ones = [asyncio.create_task(_authorize(pool, slow)) for _ in range(20)]
            await asyncio.sleep(0)
            answers = await asyncio.gather(*(_authorize(pool, fast) for _ in range(200)))
            overtaken = [task for task in late_ones if not task.done()]
            slow_answers = await asyncio.gather(*late_ones)
        books = {row["approval_code"] for row in await simulator.ledger()}

    codes = {answer.network_trace_id for answer in (*answers, *slow_answers)}
    assert len(codes) == 220
    assert overtaken, "no answer overtook another"
    assert {answer.approval_code for answer in answers} <= books


@pytest.mark.parametrize("behavior", ["answer lost", "never received", "closed"])
async def test_a_missing_answer_is_told_as_such_and_nothing_else(
    simulator: Simulator, behavior: str
) -> None:
    with simulator.running():
        async with _pool(simulator) as pool:
            with pytest.raises(NoAnswer):
                await _authorize(pool, _card(simulator, behavior))
        approved = [row["approved"] for row in await simulator.ledger()]

    assert approved == ([] if behavior == "never received" else [True])


async def test_a_late_answer_and_a_second_one_are_kept_and_answer_nothing(
    simulator: Simulator,
) -> None:
    with simulator.running():
        async with _pool(simulator) as pool:
            twice = await _authorize(pool, _card(simulator, "answer twice"))
            with pytest.raises(NoAnswer):
                await _authorize(pool, _card(simulator, "answer late"))
            for _ in range(100):
                if len(pool.unmatched) == 2:
                    break
                await asyncio.sleep(0.1)
            unmatched = pool.unmatched

    assert twice.response_code == "00"
    assert [kept["t"] for kept in unmatched] == ["0110", "0110"]
    assert not any("2" in kept for kept in unmatched), "a card number was kept"


async def test_a_network_that_is_down_takes_nothing_and_comes_back(simulator: Simulator) -> None:
    card = _card(simulator, "approved")
    pool = NetworkPool(simulator.name, [simulator.address], timeout_s=TIMEOUT_S)
    await pool.start()
    try:
        with pytest.raises(CardNetworkUnavailable):
            pool.reserve()
        with simulator.running():
            await _signed_on(pool)
            first = await _authorize(pool, card)
        for _ in range(100):
            try:
                with pool.reserve():
                    await asyncio.sleep(0.05)
            except CardNetworkUnavailable:
                break
        with pytest.raises(CardNetworkUnavailable):
            pool.reserve()
        with simulator.running():
            await _signed_on(pool)
            second = await _authorize(pool, card)
            books = await simulator.ledger()
    finally:
        await pool.stop()

    assert (first.response_code, second.response_code) == ("00", "00")
    assert len(books) == 2, "the books did not survive the restart"


async def test_a_pool_stops_at_any_moment_of_its_start(simulator: Simulator) -> None:
    with simulator.running():
        async with _pool(simulator):
            pass
        for steps in range(60):
            pool = NetworkPool(
                simulator.name, [simulator.address], timeout_s=TIMEOUT_S, connections=4
            )
            await pool.start()
            for _ in range(steps):
                await asyncio.sleep(0)
            await asyncio.wait_for(pool.stop(), 20)


async def test_more_than_may_be_in_flight_are_refused(simulator: Simulator) -> None:
    pool = NetworkPool(
        simulator.name, [simulator.address], timeout_s=TIMEOUT_S, connections=1, in_flight_max=3
    )
    with simulator.running():
        await pool.start()
        try:
            await _signed_on(pool)
            held = [pool.reserve().__enter__() for _ in range(3)]
            with pytest.raises(CardNetworkUnavailable):
                pool.reserve()
            for reservation in held:
                reservation.__exit__(None, None, None)
            with pool.reserve():
                pass
        finally:
            await pool.stop()


async def test_half_an_approval_says_how_much(simulator: Simulator) -> None:
    with simulator.running():
        async with _pool(simulator) as pool:
            response = await _authorize(pool, _card(simulator, "half"))

    assert (response.response_code, response.amount_minor) == ("10", 549)
