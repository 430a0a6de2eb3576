"""The statements of clearing as services plan them, while tables are empty and when they are large.

A plan is made for any parameters, once, and kept; what it must not do is walk through a table.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from chassis.database import Database
from recon_svc.retention import PURGE
from recon_svc.store import breaks, clearing, finding, judging
from tests.integration.conftest import DatabaseServer
from tests.integration.owner import as_owner
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

STATEMENTS: dict[str, str] = {
    name: text
    for module in (breaks, clearing, finding, judging)
    for name, text in vars(module).items()
    if name.isupper()
    and isinstance(text, str)
    and re.match(r"\s*(select|insert|update|with)", text)
}
# Those that are put together, and a page of all breaks, which a person asks for.
PARTS = {"SIDES", "END", "JUDGE", "LIST", "OVERDUE"}
STATEMENTS = {name: text for name, text in STATEMENTS.items() if name not in PARTS} | {
    "FRESH": judging.JUDGE.format(due=judging.FRESH, capture=judging.CAPTURE),
    "DUE": judging.JUDGE.format(due=judging.DUE, capture=judging.CAPTURE),
    **{
        kind.name: finding.OVERDUE.format(kind=kind, is_overdue=is_overdue)
        for kind, is_overdue in finding.ADVICES.items()
    },
    **{f"ENDING_{place}": text for place, text in enumerate(finding.ENDINGS)},
}
# An index of what waits for something is gone through whole; a network writes a file or two a day.
FEW = {
    ("TO_JUDGE", "clearing_files_id_idx"),
    ("REVERSAL_OVERDUE", "attempts_id_idx"),
    ("CAPTURE_OVERDUE", "attempts_id_idx1"),
    ("OPEN", "breaks_created_id_idx1"),
    *((f"ENDING_{place}", "breaks_created_id_idx1") for place in range(len(finding.ENDINGS))),
    ("LATE", "clearing_files_network_file_id_idx"),
    ("ENDING_4", "clearing_files_network_file_id_idx"),
}
TYPES = {"now": "timestamptz", "look_again": "interval", "look_again_max": "interval"}

ROWS = 2000
ATTEMPTS = """
insert into attempts (merchant_id, id, mode, payment_intent_id, transaction_id, network, kind,
    is_hold, status, amount_minor, currency, stan, rrn, transmitted_at, network_trace_id, deadline,
    created, version)
select 'mer_' || mod(i, 20), 'att_' || i, 'test', 'pi_' || i, 'txn_' || i,
    case mod(i, 2) when 0 then 'visa_sim' else 'mastercard_sim' end, 'authorization', false,
    case mod(i, 10) when 0 then 'failed' else 'succeeded' end, 1099, 'usd',
    lpad(i::text, 6, '0'), 'R' || lpad(i::text, 11, '0'), '1126101500', 'TR' || i,
    timestamptz '2026-11-01Z' + i * interval '20 minutes', timestamptz '2026-11-01Z', 1
from generate_series(1, %(rows)s) i
"""
FILES = """
insert into clearing_files (id, name, version, network, file_id, business_date, sha256, status,
    cut_off, created)
select i, 'file_' || i, 'v', case mod(i, 2) when 0 then 'visa_sim' else 'mastercard_sim' end,
    i::text, date '2026-11-01' + i / 2, repeat('0', 64), 'taken', timestamptz '2026-11-01Z',
    timestamptz '2026-11-01Z'
from generate_series(1, %(rows)s / 50) i
"""
LINES = """
insert into clearing_lines (file, number, network, network_trace_id, arn, rrn, local_date,
    amount_minor, currency, settlement_minor, settlement_currency, approval_code, merchant_id,
    attempt_id, matched_by, verdict, look_after)
select i / 50 + 1, mod(i, 50) + 1, case mod(i / 50, 2) when 0 then 'visa_sim' else
    'mastercard_sim' end, 'TR' || i, lpad(i::text, 23, '0'), 'R' || lpad(i::text, 11, '0'),
    date '2026-11-26', 1099, 'usd', 1099, 'usd', '000001', 'mer_' || mod(i, 20), 'att_' || i,
    'network_trace_id', case mod(i, 100) when 0 then 'waiting' else 'matched' end,
    case mod(i, 100) when 0 then timestamptz '2026-11-27Z' end
from generate_series(1, %(rows)s) i
"""
BREAKS = """
insert into breaks (id, kind, subject, network, business_date, merchant_id, attempt_id, file, line,
    created, resolved_by, resolution_reason, resolved_at)
select 'brk_' || i, (array['missing_at_network', 'missing_at_us', 'amount_over', 'late_file',
    'reversal_overdue'])[mod(i, 5) + 1], 'subject_' || i, 'visa_sim', date '2026-11-26',
    'mer_' || mod(i, 20), 'att_' || i, i / 50 + 1, mod(i, 50) + 1,
    timestamptz '2026-11-01Z' + i * interval '1 minute',
    who, who, case when who is not null then timestamptz '2026-11-02Z' end
from generate_series(1, %(rows)s) i, lateral (
    select case when mod(i, 50) > 0 then 'paymesh' end as who) resolved
"""
# Ten thousand times as many rows as there are, on the same pages: what is left to save is CPU.
LARGE = """
select pg_restore_relation_stats('schemaname', 'public', 'relname', relname::text,
    'relpages', relpages, 'reltuples', (reltuples * 10000)::real, 'relallvisible', relallvisible)
from pg_class where relname in ('attempts', 'clearing_lines', 'breaks') and %(rows)s > 0
"""


@pytest.fixture(scope="module")
async def empty(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Database]:
    database, _ = await database_and_settings(postgres.database("recon"), tls)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def large(postgres: DatabaseServer, tls: Path) -> AsyncIterator[Database]:
    database, _ = await database_and_settings(postgres.database("recon"), tls)
    for statement in (ATTEMPTS, FILES, LINES, BREAKS):
        await database.fetch(statement, rows=ROWS)
    await as_owner(database, "analyze")
    await as_owner(database, LARGE, rows=ROWS)
    yield database
    await database.close()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_rows_are_found_by_whole_keys_while_tables_are_empty(
    empty: Database, name: str
) -> None:
    await assert_by_keys(empty, name)


@pytest.mark.parametrize("name", STATEMENTS)
async def test_rows_are_found_by_whole_keys_when_tables_are_large(
    large: Database, name: str
) -> None:
    await assert_by_keys(large, name)


async def test_a_purge_finds_rows_by_whole_keys(
    postgres: DatabaseServer, tls: Path, empty: Database, large: Database
) -> None:
    for database in (empty, large):
        url = postgres.url("recon_retention", str(database.engine.url.database))
        purger, _ = await database_and_settings(url, tls)
        await assert_by_keys(purger, "PURGE")
        await purger.close()


async def test_large_tables_are_planned_as_large(large: Database) -> None:
    [attempts] = [node for node in nodes(await plan(large, "MISSING")) if _of(node, "attempts")]

    assert attempts["Plan Rows"] > ROWS


async def assert_by_keys(database: Database, name: str) -> None:
    keys = await _keys(database)
    for node in nodes(await plan(database, name)):
        assert node["Node Type"] != "Seq Scan", f"{name} reads {node['Relation Name']} whole"
        index = node.get("Index Name")
        if index is not None and (name, index) not in FEW:
            assert keys[index] <= _bound(node), f"{name}: {node}"


async def plan(database: Database, name: str) -> dict[str, Any]:
    """Return how a statement is planned for any parameters, as the services' sessions do."""
    sql = PURGE if name == "PURGE" else STATEMENTS[name]
    parameters = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${parameters.index(found[1]) + 1}", sql)
    types = ", ".join(TYPES.get(parameter, "unknown") for parameter in parameters)
    values = ", ".join("null" for _ in parameters)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(f"prepare planned {types and f'({types})'} as {text}")
        execute = f"explain (format json) execute planned {values and f'({values})'}"
        [found] = (await connection.exec_driver_sql(execute)).scalar_one()
        await connection.exec_driver_sql("deallocate planned")
    return dict(found["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def _of(node: dict[str, Any], table: str) -> bool:
    return node.get("Relation Name") == table


def _bound(node: dict[str, Any]) -> set[str]:
    """Return the columns that an index is searched by."""
    return set(re.findall(r"\((\w+) (?:=|<|>|<=|>=) ", node.get("Index Cond", "")))


async def _keys(database: Database) -> dict[str, set[str]]:
    """Return the columns of each index."""
    rows = await database.fetch(
        """
        select i.indexrelid::regclass::text as name, array_agg(a.attname::text) as columns
        from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
        group by i.indexrelid"""
    )
    return {row["name"]: set(row["columns"]) for row in rows}
