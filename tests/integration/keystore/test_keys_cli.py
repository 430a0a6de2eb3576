"""`paymesh keys`: on the store that the environment names, without ever showing a key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chassis.keystore.keys import ACTIVATION, RETIRING_MIN, Purpose
from sandbox.cli import app
from sandbox.state import StateDir
from tests.fakes import FakeClock
from tests.integration.keystore.parts import Ground

pytestmark = pytest.mark.integration


@pytest.fixture
def old_ground(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Return a store whose token key was rotated long enough ago."""
    age = ACTIVATION + RETIRING_MIN + timedelta(minutes=1)
    ground.clock = FakeClock(datetime.now(UTC) - age)
    store = ground.open(monkeypatch)
    store.create_missing()
    store.rotate(Purpose.TOKEN_ENCRYPTION)
    store.close()
    return ground


def _run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["keys", *arguments], input=answer)


def _listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_run("list", "--json").stdout)
    return found


def test_the_list_shows_what_may_be_shown(old_ground: Ground) -> None:
    table, listed = _run("list").stdout, _listed()

    assert [(key["purpose"], key["state"]) for key in listed] == [
        ("card-encryption", "current"),
        ("token-encryption", "current"),
        ("token-encryption", "retiring"),
        ("pan-envelope", "current"),
        ("card-fingerprint", "current"),
        ("audit-signing", "current"),
    ]
    for key in listed:
        assert key.keys() == {"kid", "purpose", "state", "created", "rows"}
        assert key["rows"] is None
        assert key["kid"] in table
    assert table.split()[:5] == ["kid", "purpose", "state", "created", "rows"]
    assert len(table.split()) == 5 + 5 * len(listed)


def test_a_rotation_makes_the_next_key(old_ground: Ground) -> None:
    made = json.loads(_run("rotate", "card-encryption", "--json").stdout)

    assert [(key["purpose"], key["state"]) for key in made] == [("card-encryption", "next")]
    assert made[0]["kid"] in {key["kid"] for key in _listed()}


def test_a_key_is_destroyed_by_a_running_txn_svc_alone(old_ground: Ground, tmp_path: Path) -> None:
    kid = next(key["kid"] for key in _listed() if key["state"] == "retiring")

    refused = _run("retire", kid, "--yes", "--state-dir", str(tmp_path))

    assert refused.exit_code == 1
    assert refused.stderr.strip()
    assert kid in {key["kid"] for key in _listed()}


def test_without_a_store_in_the_environment_it_is_the_sandboxs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDir(tmp_path)
    for name in state.key_store("cards"):  # and taken back at the end
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)

    made = json.loads(_run("rotate", "pan-envelope", "--json", "--state-dir", str(tmp_path)).stdout)

    assert (made[0]["purpose"], made[0]["state"]) == ("pan-envelope", "current")
    assert (tmp_path / "keys" / "cards").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys" / "cards-master.key").stat().st_mode & 0o777 == 0o600
