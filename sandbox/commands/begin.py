"""What commands do that can begin in an empty folder."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from sandbox import control
from sandbox.client import Keys
from sandbox.commands.options import console, errors, state_of
from sandbox.merchants import create_merchant
from sandbox.platform.authority import LIFETIME
from sandbox.state import StateDir


def prepared(path: Path | None) -> StateDir:
    """Return the sandbox of a folder, which is made if it is not there."""
    state = state_of(path)
    state.path.mkdir(parents=True, exist_ok=True)
    return state


def started(state: StateDir, certificate_lifetime: timedelta = LIFETIME) -> dict[str, Any]:
    """Return the status of a sandbox, started unless it runs; if it can't be, end the command."""
    # Ctrl-C must work also where a shell started us in the background and ignores it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with console.status("starting") as display:
            return control.up(state, display.update, certificate_lifetime=certificate_lifetime)
    except control.SandboxFailed as failed:
        errors.print(f"[red]the sandbox did not start:[/] {failed}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def shop_keys(state: StateDir, found: dict[str, Any], *, fresh: bool = False) -> Keys:
    """Return the sandbox's own test merchant, or a new one."""
    file = state.path / "merchant.json"
    if file.exists() and not fresh:
        return Keys(**json.loads(file.read_text()))
    keys = asyncio.run(create_merchant(state, found, "Lemon Shop", "test"))
    if not fresh:
        file.touch(mode=0o600)
        file.write_text(
            json.dumps(
                {
                    "merchant_id": keys.merchant_id,
                    "publishable_key": keys.publishable_key,
                    "secret_key": keys.secret_key,
                }
            )
        )
    return keys
