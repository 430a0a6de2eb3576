"""Statements as PostgreSQL plans them while tables are empty, which is when services first do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import edge.authz.store
import intent_svc.store.statements
import recon_svc.store.attempts
import txn_svc.store.statements
import webhook_svc.store.queue
from chassis.database import Database, migrate
from tests.integration.conftest import DatabaseServer
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

STORES: list[tuple[str, str, ModuleType]] = [
    ("edge", "edge.authz", edge.authz.store),
    ("intent", "intent_svc", intent_svc.store.statements),
    ("txn", "txn_svc", txn_svc.store.statements),
    ("recon", "recon_svc", recon_svc.store.attempts),
    ("webhook", "webhook_svc", webhook_svc.store.queue),
]
# They go through the nonces of minutes, a merchant's few keys or endpoints, what is due.
MAY_READ_MORE = {
    "PRUNE_NONCES",
    "LIST_KEYS",
    "ENDPOINTS",
    "CLAIM",
    "DISABLE",
    "CLAIM_REVERSALS",
    "CLAIM_CAPTURES",
    "CLAIM_DUE",
    "OPEN_STANS",
    "NEVER_RECORDED",
    "UNRESOLVED",
    "COUNT_RECORDED",
    "COUNT_SEEN",
}


@pytest.mark.parametrize(("role", "package", "module"), STORES)
async def test_statements_find_rows_by_key_whatever_the_size_of_the_table(
    postgres: DatabaseServer, tls: Path, role: str, package: str, module: ModuleType
) -> None:
    database, settings = await database_and_settings(postgres.database(role), tls)
    await migrate(settings, package)
    statements = {
        name: text
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and "%(" in text
    }
    assert statements

    plans = {
        name: await _plan(database, text)
        for name, text in statements.items()
        if name not in MAY_READ_MORE
    }
    key_lengths = await _key_lengths(database)
    await database.close()

    for name, plan in plans.items():
        for node in _nodes(plan):
            assert node["Node Type"] != "Seq Scan", f"{name} reads {node['Relation Name']} whole"
            if "Index Name" in node:
                bound = re.findall(r"\(\w+ = ", node.get("Index Cond", ""))
                assert len(bound) == key_lengths[node["Index Name"]], f"{name}: {node}"


async def _plan(database: Database, text: str) -> dict[str, Any]:
    parameters = dict.fromkeys(re.findall(r"%\((\w+)\)s", text)) | {"items": "[]"}
    [row] = await database.fetch(f"explain (format json) {text}", **parameters)
    [found] = row["QUERY PLAN"]
    return dict(found["Plan"])


async def _key_lengths(database: Database) -> dict[str, int]:
    """Return how many columns each index has."""
    rows = await database.fetch(
        "select indexrelid::regclass::text as name, indnatts as length from pg_index"
    )
    return {row["name"]: row["length"] for row in rows}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
