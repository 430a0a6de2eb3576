"""One trace: from the edge over the services and their databases to the last consumer."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Mesh
from tests.e2e.merchant import Merchant

pytestmark = pytest.mark.e2e

CHARGE = "paymesh.txn.v1.TransactionService/CreateTransaction"
BEGIN = "paymesh.intent.v1.PaymentIntentLifecycleService/BatchBeginProcessing"
TELL = "paymesh.intent.v1.PaymentIntentLifecycleService/BatchApplyOutcome"


@pytest.fixture
def sample(mesh: Mesh) -> Iterator[Callable[[int], None]]:
    """Return a function that has so many of a hundred requests traced, until the test is over."""
    port = json.loads((mesh.state_dir / "ports.json").read_text())["edge_admin"]

    def modify(value: object) -> None:
        url = f"http://127.0.0.1:{port}/runtime_modify?tracing.random_sampling={value}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
            assert answer.status == 200

    yield lambda percent: modify(percent * 100)
    modify("")


def _spans(mesh: Mesh) -> list[dict[str, Any]]:
    return [
        {"service": path.name.removesuffix("-spans.log"), **json.loads(line)}
        for path in (mesh.state_dir / "logs").glob("*-spans.log")
        for line in path.read_text().rpartition("\n")[0].splitlines()  # whole lines
    ]


async def _trace(mesh: Mesh, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wait for the spans of the one charge since then."""
    known = {span["context"]["span_id"] for span in before}
    while True:
        every = _spans(mesh)
        charges = [
            span["context"]["trace_id"]
            for span in every
            if span["name"] == CHARGE and span["context"]["span_id"] not in known
        ]
        found = [span for span in every if span["context"]["trace_id"] in charges]
        if {BEGIN, TELL, "webhook-payments", "intent-attempts", "edge.authz/Check"} <= {
            span["name"] for span in found
        }:
            assert len(charges) == 1, "the edge did not choose the other one"
            return found
        await asyncio.sleep(0.2)


async def test_a_charge_is_one_trace_from_the_edge_to_the_last_consumer(
    mesh: Mesh, merchant: Merchant, sample: Callable[[int], None]
) -> None:
    before = _spans(mesh)
    sample(0)
    untraced, intent = await merchant.create_intent(), await merchant.create_intent()
    await merchant.charge(untraced["id"])
    sample(100)

    charged = await merchant.charge(intent["id"])

    assert charged.json["status"] == "succeeded"
    found = await asyncio.wait_for(_trace(mesh, before), 30)
    by_id = {span["context"]["span_id"]: span for span in found}
    edges = {
        (f"{parent['service']} {parent['name']}", f"{span['service']} {span['name']}")
        for span in found
        if (parent := by_id.get(span["parent_id"])) is not None
    }
    assert edges >= {
        (f"txn {CHARGE}", "txn txn.begin"),
        ("txn txn.begin", "txn insert into transactions"),
        (f"txn {CHARGE}", "txn txn.claim"),
        ("txn txn.claim", f"intent {BEGIN}"),
        (f"intent {BEGIN}", "intent intent.change"),
        (f"txn {CHARGE}", "intent intent-attempts"),
        ("txn txn.tell", f"intent {TELL}"),
        ("webhook webhook-payments", "webhook insert into events, insert into deliveries"),
    }
    assert {parent for parent, child in edges if child == "webhook webhook-payments"} <= {
        f"intent {BEGIN}",
        f"intent {TELL}",
    }
    beginnings = [span for span in found if span["parent_id"] not in by_id]
    assert {span["name"] for span in beginnings} == {CHARGE, "edge.authz/Check"}
    assert all(span["parent_id"] for span in beginnings), "the edge decides, and no service"
