"""The command line: each command is where its name says, and asks for nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sandbox.cli import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])

    assert result.exit_code == 0
    assert f" {name} " in result.output


def test_an_unknown_command_is_named() -> None:
    result = CliRunner().invoke(app, ["brakes"])

    assert result.exit_code == 2
    assert "brakes" in result.output


def test_none_is_imported_before_it_is_asked_for() -> None:
    code = "import sandbox.cli, sys; print([n for n in sys.modules if n.startswith('sandbox.')])"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "['sandbox.cli']"
