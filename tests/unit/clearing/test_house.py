"""The simulated networks' clearing houses: what is presented, and when a file can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recon_svc.clearing.files import verify
from sandbox.networks.cards import BEHAVIORS, Clearing
from sandbox.networks.clearing.house import ClearingHouse
from sandbox.networks.issuer import Issuer
from sandbox.networks.ledger import Ledger
from tests.unit.clearing.files import DAY, NETWORKS, a_row, lines, read


def a_house(folder: Path, network: str, ledger: Ledger) -> ClearingHouse:
    return ClearingHouse(network, ledger, folder / "inbox", folder / "numbers.json")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        yield ledger


@pytest.mark.parametrize("network", NETWORKS)
async def test_only_approvals_that_stand_are_presented(
    network: str, ledger: Ledger, tmp_path: Path, workers: Executor
) -> None:
    ledger.write(
        a_row(1),
        a_row(2, approved=False),
        replace(a_row(3), reversed=True),
        a_row(4, clearing=Clearing.MISSING),
        replace(a_row(5), presented="2026-11-25"),
    )

    written = await a_house(tmp_path, network, ledger).close_day(DAY)

    [line] = lines(read(network, written.file.read_bytes(), workers))
    assert line.rrn == a_row(1).rrn
    assert {row["rrn"] for row in ledger.rows() if row["presented"] == "2026-11-26"} == {line.rrn}


async def test_two_requests_at_once_present_a_payment_once(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(*(a_row(number) for number in range(100)))
    house = a_house(tmp_path, "visa_sim", ledger)

    files = await asyncio.gather(house.close_day(DAY), house.close_day(DAY))

    assert sorted(written.totals.lines for written in files) == [0, 100]


async def test_a_restart_forgets_neither_payments_nor_numbers(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        ledger.write(a_row(1))
        first = await a_house(tmp_path, "visa_sim", ledger).close_day(DAY)
    first.file.unlink()

    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        house = a_house(tmp_path, "visa_sim", ledger)
        second = await house.close_day(DAY)
        next_day = await house.close_day(DAY + timedelta(days=1))

    assert (second.file.stem, second.totals.lines) == ("visa_sim-20261126-002", 0)
    assert next_day.file.stem == "visa_sim-20261127-001"


@pytest.mark.parametrize("network", NETWORKS)
async def test_no_one_ever_sees_half_a_file(
    network: str, ledger: Ledger, tmp_path: Path, workers: Executor
) -> None:
    ledger.write(*(a_row(number) for number in range(2000)))
    written = asyncio.create_task(a_house(tmp_path, network, ledger).close_day(DAY))

    looks_before = 0
    while not written.done():
        files = list((tmp_path / "inbox").glob(f"{network}-*"))
        for file in files:
            with file.open("rb") as stream:
                verify(network, stream, workers)
        looks_before += not files
        await asyncio.sleep(0)

    assert looks_before > 3, "the network could answer nobody meanwhile"
    assert [file.name for file in (tmp_path / "inbox").iterdir()] == [written.result().file.name]


@pytest.mark.parametrize(
    ("pans", "clearing"),
    [
        (("4000000000990053", "5200000000990058"), Clearing.MISSING),
        (("4000000000990061", "5200000000990066"), Clearing.OVER),
        (("4000000000990103", "5200000000990108"), Clearing.TWICE),
        (("4242424242424242", "5555555555554444"), Clearing.ONCE),
    ],
)
def test_the_ledger_keeps_how_a_card_clears_and_not_the_card(
    pans: tuple[str, str], clearing: Clearing, ledger: Ledger, tmp_path: Path
) -> None:
    issuer = Issuer(ledger, offers_inquiry=False)
    for number, pan in enumerate(pans):
        request = {"t": "0100", "2": pan, "4": "000000001099", "7": "1126101500", "49": "840"}
        issuer.answer({**request, "37": f"RRN{number:09d}", "11": "000001"})

    with closing(Ledger(tmp_path / "ledger.jsonl")) as read_again:
        rows = read_again.rows()
    assert [row["clearing"] for row in rows] == [clearing, clearing]
    assert not any(pan in (tmp_path / "ledger.jsonl").read_text() for pan in pans)


def test_every_way_to_clear_has_a_card_of_each_network() -> None:
    for clearing in set(Clearing) - {Clearing.ONCE}:
        pans = {pan for pan, behavior in BEHAVIORS.items() if behavior.clearing is clearing}
        assert {pan[0] for pan in pans} == {"4", "5"}
