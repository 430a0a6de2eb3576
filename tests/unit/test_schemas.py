"""Migrations are numbered, so a version knows a newer schema though it has never seen it."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory

from chassis.schema import newest_schema
from sandbox.state import DATABASES, ROOT
from sandbox.topology import SERVICES

PACKAGES = [module for service, module in SERVICES.values() if service in DATABASES]


@pytest.mark.parametrize("package", PACKAGES)
def test_older_schemas_sort_before_newer_ones(package: str) -> None:
    folder = ROOT / package.replace(".", "/") / "migrations" / "versions"
    files = sorted(folder.glob("*.py"))

    assert [file.name[:5] for file in files] == [f"{n:04}_" for n in range(1, len(files) + 1)]
    head = ScriptDirectory(folder.parent).get_current_head()
    assert newest_schema(package) == head
