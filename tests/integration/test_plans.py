"""Statements as PostgreSQL plans them while tables are empty, which is when services first do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import chassis.relay
import edge.authz.store.checks
import edge.authz.store.keys
import edge.authz.store.merchants
import intent_svc.store.statements
import recon_svc.store.attempts
import txn_svc.store.envelopes
import txn_svc.store.statements
import webhook_svc.store.queue
from chassis.database import Database
from tests.integration.conftest import DatabaseServer
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

STORES: list[tuple[str, ModuleType]] = [
    ("authz", edge.authz.store.checks),
    ("authz", edge.authz.store.keys),
    ("authz", edge.authz.store.merchants),
    ("intent", intent_svc.store.statements),
    ("intent", chassis.relay),
    ("txn", txn_svc.store.statements),
    ("txn", txn_svc.store.envelopes),
    ("recon", recon_svc.store.attempts),
    ("webhook", webhook_svc.store.queue),
]
# They go through the nonces of minutes, a merchant's few keys or endpoints, what is due or over,
# the events of seconds.
MAY_READ_MORE = {
    "PRUNE_NONCES",
    "PURGE_CARD_TOKENS",
    "SWEEP",
    "FORGET_NONCES",
    "LIST_KEYS",
    "LIST_CHANGES",
    "ENDPOINTS",
    "CLAIM",
    "BACKLOG",
    "DISABLE",
    "CLAIM_REVERSALS",
    "CLAIM_CAPTURES",
    "CLAIM_DUE",
    "OPEN_STANS",
    "NEVER_RECORDED",
    "ABANDONED_CLAIMS",
    "UNRESOLVED",
    "COUNT_RECORDED",
    "COUNT_SEEN",
    "CREATED",
}
# They read the few rows of one transaction or exchange by the begin of a key.
MAY_USE_A_PREFIX = {"READ_TRANSACTION": "transaction_id", "READ_BY_RRN": "rrn"}


@pytest.mark.parametrize(("service", "module"), STORES)
async def test_statements_find_rows_by_key_whatever_the_size_of_the_table(
    postgres: DatabaseServer, tls: Path, service: str, module: ModuleType
) -> None:
    database, _ = await database_and_settings(postgres.database(service), tls)
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
                bound = re.findall(r"\((\w+) = ", node.get("Index Cond", ""))
                if MAY_USE_A_PREFIX.get(name) in bound:
                    continue
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
