"""The connections to card networks against the simulated ones, each its own process over TCP."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.money import Money
from tests.integration.authz_client import free_port
from tests.integration.network_parts import (
    NETWORKS,
    RULES,
    Simulator,
    a_card,
    a_pool,
    signed_on,
)
from txn_svc.domain.card import Card
from txn_svc.networks.messages import AuthorizationResponse, CaptureAdvice
from txn_svc.networks.pool import CardNetworkUnavailable, NetworkPool, NoAnswer

pytestmark = pytest.mark.integration

USD = Money(1099, "usd")


@pytest.fixture(params=NETWORKS)
def simulator(request: pytest.FixtureRequest, tmp_path: Path) -> Simulator:
    return Simulator(request.param, free_port(), free_port(), tmp_path)


async def _authorize(pool: NetworkPool, card: Card) -> AuthorizationResponse:
    with pool.reserve() as reservation:
        return await reservation.authorize(card, USD, math.inf)


async def test_an_approval_comes_back_with_its_code_and_stands_in_the_books(
    simulator: Simulator,
) -> None:
    with simulator.running():
        async with a_pool(simulator) as pool:
            response = await _authorize(pool, a_card(simulator, "approved"))
        [row] = await simulator.ledger()

    assert (response.response_code, response.amount_minor) == ("00", 1099)
    assert len(response.approval_code or "") == 6
    assert (row["amount"], row["approved"], row["reversed"]) == (1099, True, False)
    assert "…" in str(row["card"])


async def test_many_requests_in_flight_each_get_their_own_answer(simulator: Simulator) -> None:
    with simulator.running():
        async with a_pool(simulator) as pool:
            slow = a_card(simulator, "slow")
            fast = a_card(simulator, "approved")
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
        async with a_pool(simulator) as pool:
            with pytest.raises(NoAnswer):
                await _authorize(pool, a_card(simulator, behavior))
        approved = [row["approved"] for row in await simulator.ledger()]

    assert approved == ([] if behavior == "never received" else [True])


async def test_a_late_answer_and_a_second_one_are_kept_and_answer_nothing(
    simulator: Simulator,
) -> None:
    with simulator.running():
        async with a_pool(simulator) as pool:
            twice = await _authorize(pool, a_card(simulator, "answer twice"))
            with pytest.raises(NoAnswer):
                await _authorize(pool, a_card(simulator, "answer late"))
            for _ in range(100):
                if len(pool.unmatched) == 2:
                    break
                await asyncio.sleep(0.1)
            unmatched = pool.unmatched

    assert twice.response_code == "00"
    assert [kept["t"] for kept in unmatched] == ["0110", "0110"]
    assert not any("2" in kept for kept in unmatched), "a card number was kept"


async def test_a_network_that_is_down_takes_nothing_and_comes_back(simulator: Simulator) -> None:
    card = a_card(simulator, "approved")
    pool = NetworkPool(simulator.name, simulator.link, RULES)
    await pool.start()
    try:
        with pytest.raises(CardNetworkUnavailable):
            pool.reserve()
        with simulator.running():
            await signed_on(pool)
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
            await signed_on(pool)
            second = await _authorize(pool, card)
            books = await simulator.ledger()
    finally:
        await pool.stop()

    assert (first.response_code, second.response_code) == ("00", "00")
    assert len(books) == 2, "the books did not survive the restart"


async def test_a_pool_stops_at_any_moment_of_its_start(simulator: Simulator) -> None:
    with simulator.running():
        async with a_pool(simulator):
            pass
        for steps in range(60):
            pool = NetworkPool(simulator.name, simulator.link, RULES, connections=4)
            await pool.start()
            for _ in range(steps):
                await asyncio.sleep(0)
            await asyncio.wait_for(pool.stop(), 20)


async def test_more_than_may_be_in_flight_are_refused(simulator: Simulator) -> None:
    pool = NetworkPool(
        simulator.name,
        simulator.link,
        RULES,
        connections=1,
        in_flight_max=3,
    )
    with simulator.running():
        await pool.start()
        try:
            await signed_on(pool)
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
        async with a_pool(simulator) as pool:
            response = await _authorize(pool, a_card(simulator, "half"))

    assert (response.response_code, response.amount_minor) == ("10", 549)


async def test_a_capture_that_is_refused_is_refused_again_when_it_is_repeated(
    simulator: Simulator,
) -> None:
    codes = []
    with simulator.running():
        async with a_pool(simulator) as pool:
            with pool.reserve() as reservation:
                card = a_card(simulator, "first capture refused")
                await reservation.authorize(card, USD, math.inf, is_hold=True)
                for stan, is_repeat in (("900001", False), ("900001", True), ("900002", False)):
                    trace = replace(reservation.trace, stan=stan)
                    advice = CaptureAdvice(trace, reservation.trace, USD, card.pan, None, is_repeat)
                    codes.append(await reservation.capture(advice))
        [row] = await simulator.ledger()

    assert codes == ["05", "05", "00"]
    assert (row["held"], row["captured"]) == (0, USD.amount_minor)
