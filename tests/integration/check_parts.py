"""The CHECK constraints of a database, as tests break them."""

from __future__ import annotations

import pytest
from psycopg.errors import CheckViolation

from chassis.database import Database

CHECKS = """
select conname as name from pg_constraint
where contype = 'c' and conrelid = cast(%(table)s as regclass)
"""


async def checks(database: Database, table: str) -> set[str]:
    """Return the names of the table's checks, without the table's own name."""
    rows = await database.fetch(CHECKS, table=table)
    return {row["name"].removeprefix(f"{table}_") for row in rows}


async def refusing_check(database: Database, table: str, row_id: str, change: str) -> str:
    """Return the name of the check that refuses a change of a row; some check has to."""
    with pytest.raises(CheckViolation) as refused:
        await database.fetch(f"update {table} set {change} where id = %(id)s", id=row_id)  # noqa: S608

    return str(refused.value.diag.constraint_name).removeprefix(f"{table}_")
