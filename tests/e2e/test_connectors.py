"""A connector that failed for good is started again."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.e2e.conftest import Mesh

pytestmark = pytest.mark.e2e

READS_MAX = 600


@contextmanager
def nobody_captures(mesh: Mesh) -> Iterator[None]:
    """Let PostgreSQL refuse Debezium's connections, as it does while it starts."""
    with psycopg.connect(mesh.status()["databases"]["txn"], autocommit=True) as connection:
        connection.execute(sql.SQL("alter role debezium nologin"))
        try:
            yield
        finally:
            connection.execute(sql.SQL("alter role debezium login"))


async def test_a_connector_whose_database_was_away_when_it_began_runs_again(mesh: Mesh) -> None:
    connect = mesh.status()["connect"]
    with nobody_captures(mesh):
        _call(connect, "POST", "/connectors/txn/restart?includeTasks=true")
        await _until(connect, "FAILED")

    await _until(connect, "RUNNING")


async def _until(connect: str, wanted: str) -> None:
    found = None
    for _ in range(READS_MAX):
        status = _call(connect, "GET", "/connectors/txn/status")
        found = [task["state"] for task in status["tasks"]] if status else None
        if found == [wanted]:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"the task is {found}, not {wanted}")


def _call(connect: str, method: str, path: str) -> Any:
    request = urllib.request.Request(f"http://{connect}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError:  # a rebalance is under way
        return None
