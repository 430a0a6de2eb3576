"""An archive in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.audit.parts import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)
