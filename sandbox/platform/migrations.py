"""Brings every database of a sandbox to its newest schema, in one process.

In a cluster each service has a Job of its own for that (`chassis/migrate.py`); here five processes
would spend most of a sandbox's seconds on importing the same.
"""

from __future__ import annotations

import json
import os
import sys

from chassis.migrate import migrate
from chassis.schema import newest_schema


def main() -> None:
    """Migrate. PAYMESH_OWNER_DATABASE_URLS: JSON, package → URL as the owner of its database."""
    for package, url in json.loads(os.environ["PAYMESH_OWNER_DATABASE_URLS"]).items():
        migrate(url, package)
        sys.stdout.write(f"{package}: schema {newest_schema(package)}\n")


if __name__ == "__main__":
    main()
