"""The tables as code names them against the tables as the migrations make them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.integration.conftest import DatabaseServer
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(file.parent.name for file in ROOT.glob("*_svc/tables.py"))

Columns = dict[str, tuple[str, str]]


@pytest.mark.parametrize("service", SERVICES)
async def test_tables_are_named_in_code_as_the_migrations_make_them(
    postgres: DatabaseServer, tls: Path, service: str
) -> None:
    named: sa.MetaData = importlib.import_module(f"{service}.tables").metadata
    database, _ = await database_and_settings(postgres.database(service.removesuffix("_svc")), tls)

    async with database.engine.connect() as connection:
        made = await connection.run_sync(_reflected, list(named.tables))
    await database.close()

    assert {name: _columns(table, database.engine.dialect) for name, table in made.items()} == {
        name: _columns(table, database.engine.dialect) for name, table in named.tables.items()
    }
    assert {name: _key(table) for name, table in made.items()} == {
        name: _key(table) for name, table in named.tables.items()
    }


def _reflected(connection: sa.Connection, names: list[str]) -> dict[str, sa.Table]:
    metadata = sa.MetaData()
    metadata.reflect(connection, only=names, resolve_fks=False)
    return dict(metadata.tables)


def _columns(table: sa.Table, dialect: sa.Dialect) -> Columns:
    """Return type and nullability by name."""
    return {
        column.name: (
            column.type.compile(dialect),
            "null" if column.nullable else "not null",
        )
        for column in table.columns
    }


def _key(table: sa.Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]
