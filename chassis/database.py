"""A service's own PostgreSQL database: connections, statements over sets of items."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import psycopg
import sqlalchemy
import sqlalchemy.exc
import sqlalchemy.ext.asyncio
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis import spans
from chassis.config import RetentionSettings, ServiceSettings
from chassis.errors import ServiceUnavailable

LOG = logging.getLogger(__name__)

# Plans are made once, often while a table is empty, and must stay right when it holds millions of
# rows: every statement goes by key, so whatever reads a table whole is ruled out.
SESSION_OPTIONS = {
    "synchronous_commit": "on",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

WAIT_S_MAX = 5.0  # for a connection, and between tries to get one back

Row = Mapping[str, Any]


class Database:
    """A service's own database. Make it by `connect`.

    Each statement commits by itself, in one round trip, since one change is one statement. `fetch`
    and `run_batch`, the hot path, use the driver's own pool, which costs a third of SQLAlchemy's
    work on a statement; queries and transactions that code puts together use `engine`.
    """

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Row]], engine: AsyncEngine
    ) -> None:
        self._pool = pool
        self.engine = engine

    async def close(self) -> None:
        """Let the connections go."""
        await self._pool.close()
        await self.engine.dispose()

    async def fetch(self, sql: str, **parameters: object) -> list[Row]:
        """Run one statement with parameters `%(name)s` and return its rows.

        It commits whole or not at all. Raises ServiceUnavailable when the database is away; then it
        may have been committed.
        """
        with _told_when_away(), spans.statement_span(sql):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(sql.encode(), parameters)
                return await cursor.fetchall() if cursor.description else []

    async def run_batch(
        self, sql: str, items: Sequence[Mapping[str, object]], **parameters: object
    ) -> list[Row]:
        """Run one statement over a set of items and return its rows.

        The items are the one JSON parameter `%(items)s`, to be read by
        `jsonb_to_recordset(cast(%(items)s as jsonb)) as item(…)`. Bytes travel as base64 text.
        Raises as `fetch` does.
        """
        encoded = orjson.dumps(items, default=_json_value).decode()
        return await self.fetch(sql, items=encoded, **parameters)

    async def select(self, query: sqlalchemy.Select[Any]) -> list[Row]:
        """Run a query that code has put together and return its rows. Raises as `fetch` does."""
        with _told_when_away(), spans.statement_span("select"):
            async with self.engine.connect() as connection:
                found = await connection.execute(query)
                return [dict(row) for row in found.mappings()]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[sqlalchemy.ext.asyncio.AsyncConnection]:
        """Everything that runs on the connection commits together, or nothing does.

        Raises as `fetch` does.
        """
        options = self.engine.execution_options(isolation_level="READ COMMITTED")
        with _told_when_away():
            async with options.begin() as connection:
                yield connection


async def connect(
    settings: ServiceSettings | RetentionSettings, *, connections_max: int = 5
) -> Database:
    """Return the service's database; where it is away, it is connected to as soon as it is back.

    Coalescing needs few connections: one statement of each kind is in flight at a time.
    """
    url = settings.database_url.get_secret_value()
    arguments = {
        "application_name": f"paymesh-{settings.service_name}",
        "options": " ".join(f"-c {name}={value}" for name, value in SESSION_OPTIONS.items()),
        "prepare_threshold": 2,
    }
    pool: AsyncConnectionPool[AsyncConnection[Row]] = AsyncConnectionPool(
        url.replace("postgresql+psycopg:", "postgresql:", 1),
        kwargs={**arguments, "autocommit": True, "row_factory": dict_row},
        min_size=1,
        max_size=connections_max,
        open=False,
        timeout=WAIT_S_MAX,
        reconnect_timeout=WAIT_S_MAX,
    )
    await pool.open()
    engine = create_async_engine(
        url,
        pool_size=connections_max,
        max_overflow=0,
        pool_pre_ping=True,  # these are few, and one that broke in a pause is nobody's fault
        connect_args=arguments,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
    )
    return Database(pool, engine)


@contextmanager
def _told_when_away() -> Iterator[None]:
    try:
        yield
    except (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError,
    ) as away:
        LOG.warning("the database is away", exc_info=True)
        raise ServiceUnavailable from away


def _json_value(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} can't be an item's value")
