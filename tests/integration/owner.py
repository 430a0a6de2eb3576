"""A database as its owner, who may do there what the service under test must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chassis.database import Database


async def as_owner(database: Database, sql: str, **parameters: object) -> list[dict[str, Any]]:
    """Run one statement in a service's database with its owner's certificate; return its rows."""
    url = database.engine.url
    owner = f"{url.username}_owner"
    tls = Path(str(url.query["sslcert"])).parent
    connection = await psycopg.AsyncConnection.connect(
        url.set(drivername="postgresql", username=owner).render_as_string(hide_password=False),
        sslcert=str(tls / f"{owner}.crt"),
        sslkey=str(tls / f"{owner}.key"),
        autocommit=True,
        row_factory=dict_row,
    )
    async with connection:
        cursor = await connection.execute(sql.encode(), parameters or None)
        return await cursor.fetchall() if cursor.description else []
