"""Clearing files as the simulated networks write them, read by the reader of recon_svc."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chassis.money import Money
from recon_svc.clearing.files import read_file
from recon_svc.domain.clearing import ClearingLine
from tests.integration.authz_client import free_port
from tests.integration.network_parts import NETWORKS, Simulator, a_card, a_pool
from txn_svc.domain.card import Card
from txn_svc.networks.messages import AuthorizationResponse
from txn_svc.networks.pool import NetworkPool

pytestmark = pytest.mark.integration

USD = Money(1099, "usd")
BLACK_FRIDAY = '{"businessDate": "2026-11-27"}'


@pytest.fixture(params=NETWORKS)
def simulator(request: pytest.FixtureRequest, tmp_path: Path) -> Simulator:
    return Simulator(request.param, free_port(), free_port(), tmp_path)


async def _authorize(pool: NetworkPool, card: Card) -> AuthorizationResponse:
    with pool.reserve() as reservation:
        return await reservation.authorize(card, USD, math.inf)


def _lines(simulator: Simulator, name: str) -> list[ClearingLine]:
    with ThreadPoolExecutor(1) as workers, (simulator.inbox / name).open("rb") as stream:
        items = list(read_file(simulator.name, stream, workers))
    return [item for item in items if isinstance(item, ClearingLine)]


async def test_a_clearing_file_claims_what_was_answered(simulator: Simulator) -> None:
    with simulator.running():
        async with a_pool(simulator) as pool:
            response = await _authorize(pool, a_card(simulator, "approved"))
        status, written = await simulator.clear(BLACK_FRIDAY)
        [row] = await simulator.ledger()

    [line] = _lines(simulator, written["file"])
    assert status == 200
    assert written == {
        "file": f"{simulator.name}-20261127-001.{simulator.suffix}",
        "lines": 1,
        "totals": [{"currency": "usd", "count": 1, "amountMinor": 1099}],
    }
    assert (line.amount_minor, line.currency) == (1099, "usd")
    assert line.network_trace_id == response.network_trace_id
    assert line.approval_code == response.approval_code
    assert (line.rrn, row["presented"]) == (row["rrn"], "2026-11-27")
    assert line.arn[1:7] == "400001", "not our acquirer"
    assert (row["mcc"], row["card_acceptor"]) == ("5999", "PAYMESH")


async def test_each_card_misbehaves_in_clearing_as_documented(simulator: Simulator) -> None:
    found = {}
    with simulator.running():
        async with a_pool(simulator) as pool:
            for behavior in ("missing in clearing", "over in clearing", "twice in clearing"):
                await _authorize(pool, a_card(simulator, behavior))
                _, written = await simulator.clear()
                lines = _lines(simulator, written["file"])
                found[behavior] = [line.amount_minor for line in lines]

    assert found == {
        "missing in clearing": [],
        "over in clearing": [1199],
        "twice in clearing": [1099, 1099],
    }


async def test_a_payment_is_claimed_once_and_a_name_given_once(simulator: Simulator) -> None:
    with simulator.running():
        async with a_pool(simulator) as pool:
            await _authorize(pool, a_card(simulator, "approved"))
            _, first = await simulator.clear(BLACK_FRIDAY)
            await _authorize(pool, a_card(simulator, "half"))
            _, second = await simulator.clear(BLACK_FRIDAY)
    (simulator.inbox / second["file"]).unlink()
    with simulator.running():
        async with a_pool(simulator):
            _, third = await simulator.clear(BLACK_FRIDAY)
            _, other_day = await simulator.clear('{"businessDate": "2026-11-28"}')

    names = [written["file"].split(".")[0][-12:] for written in (first, second, third, other_day)]
    assert names == ["20261127-001", "20261127-002", "20261127-003", "20261128-001"]
    assert [written["lines"] for written in (first, second, third)] == [1, 1, 0]
    assert second["totals"][0]["amountMinor"] == 549


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"businessDate": 20261127}', '{"date": "2026-11-27"}']
)
async def test_a_clearing_request_that_says_something_else_is_refused(
    simulator: Simulator, body: str
) -> None:
    with simulator.running():
        async with a_pool(simulator):
            status, _ = await simulator.clear(body)

    assert status == 400
    assert not simulator.inbox.exists()


async def test_a_network_clears_by_itself_when_it_is_told_to(simulator: Simulator) -> None:
    with simulator.running("--clearing-every-s", "0.05"):
        async with a_pool(simulator) as pool:
            await _authorize(pool, a_card(simulator, "approved"))
            for _ in range(200):
                rows = await simulator.ledger()
                if rows[0]["presented"]:
                    break
                await asyncio.sleep(0.05)
            [file] = simulator.inbox.iterdir()

    assert len(_lines(simulator, file.name)) == 1
