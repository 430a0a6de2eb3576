"""The schema of a service's database: `python -m chassis.migrate <package>` makes it the newest.

That alone logs in as the owner of the database. The service may not change a table, and does not
start on an older schema than it needs (`chassis/schema.py`).
"""

from __future__ import annotations

import sys

import alembic.command
import alembic.config
import alembic.context
import sqlalchemy

from chassis.config import OwnerSettings, read_settings
from chassis.schema import migrations_folder, newest_schema

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


def _config(package: str) -> alembic.config.Config:
    config = alembic.config.Config()
    folder = migrations_folder(package)
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
