"""The commands that hold the databases of a whole sandbox against its archive, and mend it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from sandbox.state import DATABASES
from tests.e2e.conftest import PAYMESH, Mesh
from tests.e2e.merchant import APPROVED, Merchant

pytestmark = pytest.mark.e2e

MINUTE_US = 60_000_000
ARCHIVED_S_MAX = 60


async def test_everything_of_every_database_is_captured_as_it_is(
    mesh: Mesh, merchant: Merchant
) -> None:
    intent = await merchant.create_intent(1_099)
    await merchant.charge(intent["id"], APPROVED)
    paid_us = time.time_ns() // 1_000

    found: list[dict[str, Any]] = json.loads(
        await asyncio.to_thread(mesh.run, "capture", "status", "--json")
    )

    assert [each["service"] for each in found] == list(DATABASES)
    for each in found:
        assert (each["connector"], each["slot"]) == (["RUNNING", "RUNNING"], "reserved")
        assert (each["lost"], each["gone"], each["unequalMinutes"]) == ([], [], [])
        assert each["verifiedUntilUs"] >= paid_us - MINUTE_US
    assert all(each["rows"] > 0 for each in found if each["service"] in ("intent", "txn", "authz"))


async def test_a_row_that_was_not_captured_is_found_and_read_again(mesh: Mesh) -> None:
    with _unpublished(mesh, "merchants"):
        merchant = mesh.new_keys().merchant_id

    [before] = json.loads((await asyncio.to_thread(_refused, mesh)).stdout)
    [repaired] = json.loads(
        await asyncio.to_thread(mesh.run, "capture", "repair", "--database", "authz", "--json")
    )
    archived = await _archived(mesh, merchant)

    assert before["lost"] == [["merchants", merchant]]
    assert sum(each["rows"] - each["captured"] for each in before["unequalMinutes"]) == 1
    assert (repaired["isSlotNew"], repaired["lost"]) == (False, [])
    assert repaired["reread"] == repaired["before"]["lost"] == before["lost"]
    assert archived == [{"op": "r", "snapshot": "incremental"}]


@contextmanager
def _unpublished(mesh: Mesh, table: str) -> Iterator[None]:
    """Let Debezium see nothing of a table of authz."""
    publication, name = sql.Identifier("paymesh_authz"), sql.Identifier(table)
    with psycopg.connect(mesh.status()["databases"]["edge"], autocommit=True) as connection:
        connection.execute(sql.SQL("alter publication {} drop table {}").format(publication, name))
        try:
            yield
        finally:
            added = sql.SQL("alter publication {} add table {}").format(publication, name)
            connection.execute(added)


def _refused(mesh: Mesh) -> subprocess.CompletedProcess[str]:
    asked = ["capture", "status", "--database", "authz", "--json"]
    asked += ["--state-dir", str(mesh.state_dir)]
    done = subprocess.run([PAYMESH, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done


async def _archived(mesh: Mesh, merchant: str) -> list[dict[str, Any]]:
    """Wait until the archive has something of a merchant's row, and return what."""
    asked = f"""select op, decode(value)->>'$.source.snapshot' as snapshot from archive
        where topic = 'cdc.authz.merchants' and key = '{merchant}'"""  # noqa: S608 our own id
    for _ in range(ARCHIVED_S_MAX):
        told = await asyncio.to_thread(mesh.run, "audit", "query", "--json", asked)
        found: list[dict[str, Any]] = json.loads(told)
        if found:
            return found
        await asyncio.sleep(1)
    pytest.fail("the row was not archived")
