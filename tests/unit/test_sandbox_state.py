"""The folder of a sandbox: whose data it holds."""

from __future__ import annotations

from pathlib import Path

from sandbox.state import StateDir


def test_a_new_folder_is_of_this_version_and_stays_so(tmp_path: Path) -> None:
    state = StateDir(tmp_path)

    assert state.is_of_this_version()
    (tmp_path / "postgres").mkdir()
    assert state.is_of_this_version()


def test_data_of_another_version_are_known_as_such(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    (tmp_path / "postgres").mkdir()

    assert not state.is_of_this_version()
    (tmp_path / "version").write_text("another")
    assert not state.is_of_this_version()
