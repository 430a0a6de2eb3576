"""A service's own PostgreSQL database: the engine, migrations, statements over sets of items."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import alembic.command
import alembic.config
import alembic.context
import orjson
import sqlalchemy
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from chassis.config import ServiceSettings
from chassis.errors import ServiceUnavailable

LOG = logging.getLogger(__name__)

MIGRATION_LOCK = 0x7061796D657368  # "paymesh"; one migration at a time per database

Row = sqlalchemy.RowMapping


def create_engine(settings: ServiceSettings, *, connections_max: int = 5) -> AsyncEngine:
    """Return the engine of the service's database.

    A statement commits by itself, in one round trip: one change is one statement. Where several
    belong together, `transaction` holds them. Coalescing needs few connections: one statement of
    each kind is in flight at a time.
    """
    return create_async_engine(
        settings.database_url.get_secret_value(),
        pool_size=connections_max,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        pool_pre_ping=False,
        pool_use_lifo=True,
        connect_args={
            "prepare_threshold": 2,
            "application_name": f"paymesh-{settings.service_name}",
            "options": "-c synchronous_commit=on -c plan_cache_mode=force_generic_plan -c jit=off",
        },
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Everything that runs on the connection commits together, or nothing does.

    Raises as `fetch` does.
    """
    options = engine.execution_options(isolation_level="READ COMMITTED")
    with _told_when_away():
        async with options.begin() as connection:
            yield connection


async def run_batch(
    engine: AsyncEngine, sql: str, items: Sequence[Mapping[str, object]], **parameters: object
) -> Sequence[Row]:
    """Run one statement over a set of items and return its rows; it commits whole or not at all.

    The items are the one JSON parameter `:items`, to be read by
    `jsonb_to_recordset(cast(:items as jsonb)) as item(…)`. Bytes travel as base64 text. Raises as
    `fetch` does.
    """
    encoded = orjson.dumps(items, default=_json_value).decode()
    return await fetch(engine, sql, items=encoded, **parameters)


async def fetch(engine: AsyncEngine, sql: str, **parameters: object) -> Sequence[Row]:
    """Run one statement and return its rows; it commits whole or not at all.

    Raises ServiceUnavailable when the database is away; then it may have been committed.
    """
    with _told_when_away():
        async with engine.connect() as connection:
            result = await connection.execute(_statement(sql), parameters)
            return result.mappings().all() if result.returns_rows else ()


@contextmanager
def _told_when_away() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as away:
        LOG.warning("the database is away", exc_info=True)
        raise ServiceUnavailable(
            "A part of paymesh is out of service for now. Repeat the request."
        ) from away


_statements: dict[str, sqlalchemy.TextClause] = {}


def _statement(sql: str) -> sqlalchemy.TextClause:
    """Return the parsed statement; the set of statements is the code's own and so bounded."""
    statement = _statements.get(sql)
    if statement is None:
        statement = _statements[sql] = sqlalchemy.text(sql)
    return statement


def _json_value(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} can't be an item's value")


async def migrate(settings: ServiceSettings, package: str) -> None:
    """Bring the database to the newest schema of `<package>/migrations`; safe to run at once."""
    await asyncio.to_thread(_migrate, settings.database_url.get_secret_value(), package)


def _migrate(url: str, package: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    config = alembic.config.Config()
    folder = Path(spec.submodule_search_locations[0]) / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_lock(MIGRATION_LOCK)))
        connection.commit()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_unlock(MIGRATION_LOCK)))
        connection.commit()


def run_migrations() -> None:
    """Be the whole of a service's `migrations/env.py`."""
    alembic.context.configure(connection=alembic.context.config.attributes["connection"])
    with alembic.context.begin_transaction():
        alembic.context.run_migrations()
