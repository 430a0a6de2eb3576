"""A key store of each kind: what takes `ground` or `store` runs once for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from chassis.keystore.store import KeyStore
from tests.integration.keystore.parts import FileGround, Ground, SoftHsmGround, a_token, softhsm


@pytest.fixture
def file_ground(tmp_path: Path) -> FileGround:
    return FileGround(tmp_path)


@pytest.fixture
def softhsm_ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsmGround]:
    yield a_token(tmp_path, monkeypatch)
    pkcs11.lib(softhsm()).finalize()


@pytest.fixture(params=["file", "softhsm"])
def ground(request: pytest.FixtureRequest) -> Ground:
    found: Ground = request.getfixturevalue(f"{request.param}_ground")
    return found


@pytest.fixture
def store(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyStore[Any]]:
    """Open a store that has a key for each purpose, since a second."""
    opened = ground.open(monkeypatch)
    opened.create_missing()
    ground.clock.move(1)
    yield opened
    opened.close()
