"""A seed stands for one plan: the same payments and faults wherever and whenever it is drawn."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from sandbox.networks.cards import BEHAVIORS
from tests.faults.mesh import VICTIMS
from tests.faults.plan import (
    ARCHIVE_BLOWS,
    ARCHIVER,
    CAPTURING,
    MEANWHILE_S,
    MERCHANTS,
    READERS,
    SLOTS,
    WRITERS,
    Ending,
    Fault,
    Kind,
    draw_faults,
    draw_payments,
    duration_s,
    slots_to_lose,
)

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ["mastercard_sim", "visa_sim"]
PART_CARDS = {pan for pan, behavior in BEHAVIORS.items() if behavior.approves_half}
PRINT_PLAN = """
from tests.faults.plan import draw_faults, draw_payments
print(draw_payments(7, 50), draw_faults(7, 60.0, {victims!r}, {networks!r}, {slots!r}))
"""


def _faults(seed: int, lasts_s: float = 60.0) -> list[Fault]:
    return draw_faults(seed, lasts_s, VICTIMS, NETWORKS, SLOTS)


def test_a_seed_gives_the_same_plan_in_every_process() -> None:
    printed = {
        subprocess.run(
            [
                sys.executable,
                "-c",
                PRINT_PLAN.format(victims=VICTIMS, networks=NETWORKS, slots=SLOTS),
            ],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert printed == {f"{draw_payments(7, 50)} {_faults(7)}\n"}


def test_another_seed_gives_another_plan() -> None:
    assert draw_payments(7, 50) != draw_payments(8, 50)
    assert _faults(7) != _faults(8)


def test_a_plan_of_60_payments_has_every_card_of_the_sandbox() -> None:
    payments = draw_payments(7, 60)

    assert {payment.card for payment in payments} >= set(BEHAVIORS)
    assert {payment.merchant for payment in payments} == set(range(MERCHANTS))
    assert any(payment.gives_up for payment in payments)
    assert {payment.ending for payment in payments if payment.is_manual} == set(Ending)
    assert {payment.accepts_part for payment in payments} == {True, False}
    assert {payment.by_token for payment in payments} == {True, False}
    assert any(payment.accepts_part for payment in payments if payment.card in PART_CARDS)
    assert all(0 <= payment.starts_at_s <= duration_s(60) for payment in payments)


def test_a_plan_of_500_payments_hurts_every_part_in_every_way() -> None:
    faults = draw_faults(7, duration_s(500), VICTIMS, NETWORKS, [])

    ways = defaultdict(set)
    for fault in faults:
        ways[fault.target].add(fault.kind)
    assert set(ways) == {*VICTIMS, *NETWORKS}
    of_the_archive = {kind for kind, _ in ARCHIVE_BLOWS}
    assert of_the_archive <= ways.pop(ARCHIVER)
    ordinary = [name for name in VICTIMS if name != ARCHIVER]
    assert all(ways[name] - {Kind.BLOCK} == {Kind.KILL, Kind.FREEZE} for name in ordinary)
    assert {name for name in ordinary if Kind.BLOCK in ways[name]} == set(READERS)
    assert all(ways[name] == {Kind.CUT, Kind.LINE} for name in NETWORKS)
    assert any(fault.kind is Kind.FREEZE and fault.for_s > 2 for fault in faults)


@pytest.mark.parametrize("seed", [1, 2, 3, 689])
def test_a_minute_is_enough_to_hurt_the_archive_in_every_way(seed: int) -> None:
    ways = {fault.kind for fault in _faults(seed) if fault.target == ARCHIVER}

    assert ways >= {kind for kind, _ in ARCHIVE_BLOWS}


@pytest.mark.parametrize("seed", range(20))
def test_faults_come_in_order_and_none_meets_another_at_the_same_part(seed: int) -> None:
    faults = _faults(seed)

    by_target = defaultdict(list)
    for fault in faults:
        by_target[fault.target].append(fault)
    assert faults == sorted(faults, key=lambda fault: fault.at_s)
    assert all(0 < fault.at_s < 61 for fault in faults)
    for hits in by_target.values():
        assert all(first.at_s + first.for_s < then.at_s for first, then in pairwise(hits))


def test_services_are_killed_also_while_what_they_wait_for_is_away() -> None:
    faults = _faults(7, duration_s(500))

    killed = {
        (away.target, then.target)
        for away, then in pairwise(faults)
        if then.kind is Kind.KILL and then.at_s < away.at_s + 2 * MEANWHILE_S
    }
    assert killed >= {("postgres", name) for name in WRITERS}
    assert killed >= {(network, "txn_svc") for network in NETWORKS}


def test_parts_that_a_sandbox_does_not_have_are_left_alone() -> None:
    faults = draw_faults(7, 60.0, ["txn_svc"], ["visa_sim"], [])

    assert {fault.target for fault in faults} == {"txn_svc", "visa_sim"}


@pytest.mark.parametrize("seed", range(20))
def test_one_database_loses_its_slot_while_most_payments_are_still_to_come(seed: int) -> None:
    faults = _faults(seed, 100.0)
    [lost] = [fault for fault in faults if fault.kind is Kind.SLOT]

    assert lost.target in SLOTS
    assert 10.0 <= lost.at_s <= 40.0
    meanwhile = [fault for fault in faults if lost.at_s - 8 < fault.at_s < lost.at_s + 20]
    assert not {*CAPTURING} & {fault.target for fault in meanwhile}
    assert Kind.BLOCK not in {fault.kind for fault in meanwhile}
    assert len(meanwhile) > 1


def test_a_short_run_loses_no_slot() -> None:
    assert slots_to_lose(60) == ()
    assert {fault.target for seed in range(9) for fault in _faults(seed)} >= {*slots_to_lose(150)}
