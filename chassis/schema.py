"""Which schema a service needs, and whether its database has it.

A service does not start on an older schema. It does on a newer one: while a version is rolled out,
or back, the one before runs on the schema of the one after, so a migration takes nothing away that
the version before it uses. What migrates (`chassis/migrate.py`) is not imported here: it would be a
seventh of the time in which a service starts.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

from psycopg.errors import UndefinedTable

from chassis.database import Database

LOG = logging.getLogger(__name__)


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
    return max(
        file.name[:4] for file in (migrations_folder(package) / "versions").glob("????_*.py")
    )


def migrations_folder(package: str) -> Path:
    """Return where a package's migrations are. Raises ModuleNotFoundError."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(spec.submodule_search_locations[0]) / "migrations"
