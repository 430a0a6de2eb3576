"""A payment is purged when it is in the archive, and is read from there as it was before."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PAYMESH, Mesh
from tests.e2e.merchant import APPROVED, DECLINED, Merchant

pytestmark = pytest.mark.e2e

RUNS_MAX = 40
RUN = ("retention", "run", "--older-than", "0", "--json")
# How many rows of a payment with two charges there are.
ROWS = {"payment_intents": 1, "transactions": 2, "attempts": 2}


async def _reads(merchant: Merchant, payment: str) -> dict[str, Any]:
    """Return all that a merchant reads of a payment, by path."""
    path = f"/payment-intents/{payment}"
    listed = (await merchant.call("GET", f"{path}/transactions")).json
    cursor = listed["data"][0]["id"]
    paths = [
        path,
        *(f"{path}/transactions{rest}" for rest in ("", "?limit=1", f"?startingAfter={cursor}")),
        *(f"{path}/transactions/{each['id']}" for each in listed["data"]),
    ]
    found = {each: await merchant.call("GET", each) for each in paths}
    assert {answer.status for answer in found.values()} == {200}
    return {each: answer.json for each, answer in found.items()}


def _archived(shown: Any) -> Any:
    """Return an answer as it is when its objects are read from the archive."""
    if "data" in shown:
        return shown | {"data": [each | {"archived": True} for each in shown["data"]]}
    return shown | {"archived": True}


def _left(mesh: Mesh, payment: str) -> list[list[tuple[Any, ...]]]:
    """Return how many rows each database still has of a payment, and what else it knows of it."""
    return [
        mesh.query("intent", "select count(*) from payment_intents where id = %s", payment),
        mesh.query("txn", "select count(*) from attempts where payment_intent_id = %s", payment),
        *(
            mesh.query(
                name,
                "select row_count from purged_payments where payment_intent_id = %s",
                payment,
            )
            for name in ("intent", "txn")
        ),
    ]


def _run(mesh: Mesh) -> None:
    command: list[str | Path] = [PAYMESH, *RUN, "--state-dir", str(mesh.state_dir)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


async def _purged(mesh: Mesh, payment: str) -> None:
    """Purge again and again, killing every other run, until nothing of a payment is left.

    A run that fails because a part is slow leaves things as they were, as one that is killed does.
    """
    for number in range(RUNS_MAX):
        if number % 2 == 0:
            killed = subprocess.Popen(  # noqa: ASYNC220 returns at once
                [PAYMESH, *RUN, "--state-dir", str(mesh.state_dir)],
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            await asyncio.sleep(0.5 * (number % 7))
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        else:
            await asyncio.to_thread(_run, mesh)
        if _left(mesh, payment) == [[(0,)], [(0,)], [(1,)], [(4,)]]:
            return
    pytest.fail(f"{payment} was not purged: {_left(mesh, payment)}")


async def test_a_purged_payment_is_read_from_the_archive_as_it_was(
    mesh: Mesh, merchant: Merchant, connect: Callable[..., Merchant]
) -> None:
    payment = (await merchant.create_intent(1099))["id"]
    await merchant.charge(payment, DECLINED)
    await merchant.charge(payment, APPROVED)
    await merchant.final_intent(payment)
    before = await _reads(merchant, payment)

    await _purged(mesh, payment)

    assert await _reads(merchant, payment) == {
        path: _archived(shown) for path, shown in before.items()
    }
    assert (await merchant.call("GET", "/payment-intents")).json["data"] == []
    stranger = connect()
    for path in before:
        for caller in (stranger, merchant):
            answer = await caller.call("GET", path.replace(payment, f"{payment[:-1]}z"))
            assert (answer.status, answer.error["code"]) == (404, "resource_missing")
        assert (await stranger.call("GET", path)).status == 404

    await asyncio.to_thread(_run, mesh)
    told = json.loads(await asyncio.to_thread(mesh.run, "audit", "history", payment, "--json"))
    proof = json.loads(await asyncio.to_thread(mesh.run, "audit", "verify", "--json"))
    assert Counter(row["table"] for row in told["rows"]) == ROWS
    assert all(row["isPurged"] and "gap" not in row for row in told["rows"])
    purges = Counter(each["table"] for each in told["changes"] if each["action"] == "purged")
    assert purges == ROWS
    assert proof["brokenLinks"] == []
    refused = await merchant.charge(payment, APPROVED)
    assert (refused.status, refused.error["code"]) == (404, "resource_missing")
