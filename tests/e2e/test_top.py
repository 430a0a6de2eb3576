"""`paymesh top` counts what was done, and shows who is down."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Merchant

pytestmark = pytest.mark.e2e

CREATES, CHARGES, READS = 6, 4, 3
WAIT_FRAMES_MAX = 60
SELDOM = {  # nobody counts these as long as all is well
    *("ended_connections", "unmatched_replies", "lost_replies", "dead_letters"),
    "time_to_certainty_p99",
}


async def _frame(mesh: Mesh) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        await asyncio.to_thread(mesh.run, "top", "--once", "--json", "--interval", "0.5")
    )
    return told


def _figures(told: dict[str, Any], name: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return a figure by the values of its labels."""
    return {tuple(row["labels"].values()): row for row in told["figures"] if row["name"] == name}


def _totals(told: dict[str, Any]) -> dict[str, float]:
    kinds = ("creates", "charges", "reads")
    return {kind: _figures(told, kind)[()]["total"] or 0 for kind in kinds}


async def test_top_counts_what_was_done(mesh: Mesh, merchant: Merchant) -> None:
    before = await _frame(mesh)
    intents = [(await merchant.create_intent(1_000 + number))["id"] for number in range(CREATES)]
    for intent_id in intents[:CHARGES]:
        assert (await merchant.charge(intent_id)).status == 200
    for intent_id in intents[:READS]:
        await merchant.intent(intent_id)
    refused = await merchant.call("POST", "/payment-intents", {"amountInCents": 0})
    after = await _frame(mesh)

    grown = {kind: total - _totals(before)[kind] for kind, total in _totals(after).items()}
    assert refused.status == 400
    assert grown == {"creates": CREATES, "charges": CHARGES, "reads": READS}
    at_edge = {
        code: row["total"] - _figures(before, "edge_requests").get(code, {"total": 0})["total"]
        for code, row in _figures(after, "edge_requests").items()
    }
    assert (at_edge["2",], at_edge["4",]) == (CREATES + CHARGES + READS, 1)
    assert set(after["processes"].values()) == {"healthy"}


async def test_everything_that_a_sandbox_can_tell_is_told(mesh: Mesh, merchant: Merchant) -> None:
    intent = await merchant.create_intent()
    await merchant.charge(intent["id"])

    for _ in range(WAIT_FRAMES_MAX):
        told = await _frame(mesh)
        unknown = {row["name"] for row in told["figures"] if row["now"] is row["total"] is None}
        if unknown <= SELDOM:
            break
    assert unknown <= SELDOM
    assert {labels for (labels,) in _figures(told, "memory")} >= {"intent", "txn", "connect"}
    assert {group for (group,) in _figures(told, "consumer_lag")} >= {"audit-archive"}
    assert len(_figures(told, "open_breaks")) == 11


async def test_a_process_that_does_not_answer_is_down(mesh: Mesh) -> None:
    pid = mesh.process("web")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        told = await _frame(mesh)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert told["processes"]["web"] == "down"
    assert ("web",) not in _figures(told, "memory")
    assert ("txn",) in _figures(told, "memory")
    await mesh.healthy("web", other_than=0)
