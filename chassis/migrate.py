"""The schema of a service's database: `python -m chassis.migrate <package>` makes it the newest.

That alone logs in as the owner of the database. The service may not change a table, and does not
start on an older schema than it needs. It does on a newer one: while a version is rolled out, or
back, the one before runs on the schema of the one after, so a migration takes nothing away that
the version before it uses.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

import alembic.command
import alembic.config
import alembic.context
import sqlalchemy
from alembic.script import ScriptDirectory
from psycopg.errors import UndefinedTable

from chassis.config import OwnerSettings, read_settings
from chassis.database import Database

LOG = logging.getLogger(__name__)
MIGRATION_LOCK = 0x7061796D657368  # "paymesh"; one migration at a time per database


def migrate(owner_url: str, package: str) -> None:
    """Bring a database to the newest schema of `<package>/migrations`; safe to run at once."""
    config = _config(package)
    engine = sqlalchemy.create_engine(
        owner_url, poolclass=sqlalchemy.NullPool, hide_parameters=True
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_lock(MIGRATION_LOCK)))
        connection.commit()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_unlock(MIGRATION_LOCK)))
        connection.commit()


async def require_schema(database: Database, package: str) -> None:
    """End the process, with a line that says why, on an older schema than the package's newest.

    Schemas are numbered with four digits, so a version knows what is newer though it has never seen
    it. Raises ServiceUnavailable when the database is away.
    """
    newest = newest_schema(package)
    try:
        rows = await database.fetch("select version_num from alembic_version")
    except UndefinedTable:
        rows = []
    found = "".join(row["version_num"] for row in rows)
    if found < newest:
        await database.close()  # or the process may wait for its connections for ever
        sys.exit(
            f"{package} needs schema {newest} and its database has {found or 'none'}: "
            f"run `python -m chassis.migrate {package}` of this version"
        )
    if found > newest:
        LOG.warning("the schema is newer than this version", extra={"found": found})


def newest_schema(package: str) -> str:
    """Return the newest schema that a package knows, such as "0001"."""
    return ScriptDirectory.from_config(_config(package)).get_current_head() or ""


def _config(package: str) -> alembic.config.Config:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    config = alembic.config.Config()
    folder = Path(spec.submodule_search_locations[0]) / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def run_migrations() -> None:
    """Be the whole of a service's `migrations/env.py`."""
    alembic.context.configure(connection=alembic.context.config.attributes["connection"])
    with alembic.context.begin_transaction():
        alembic.context.run_migrations()


def main() -> None:
    """Migrate the database of the package that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m chassis.migrate <package>, such as intent_svc or edge.authz")
    [_, package] = sys.argv
    migrate(read_settings(OwnerSettings).owner_database_url.get_secret_value(), package)
    sys.stdout.write(f"{package}: schema {newest_schema(package)}\n")


if __name__ == "__main__":
    main()
