"""What all commands share: their common options, and the sandbox that they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sandbox import control
from sandbox.state import StateDir, default_state_dir

StateOption = Annotated[
    Path | None, typer.Option("--state-dir", help="The folder that holds everything of a sandbox.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

console = Console()
errors = Console(stderr=True)


def state_of(path: Path | None) -> StateDir:
    """Return the sandbox of a folder, or of the usual one."""
    return StateDir((path or default_state_dir()).resolve())


def running(path: Path | None) -> tuple[StateDir, dict[str, Any]]:
    """Return a sandbox that runs, with its status; else say so and end the command."""
    state = state_of(path)
    try:
        return state, control.running(state)
    except control.NotRunning as absent:
        errors.print(str(absent))
        raise typer.Exit(1) from None
