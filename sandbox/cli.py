"""The command line: `paymesh up`, `demo`, `pay` and the rest."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "up": "sandboxes:up",
    "down": "sandboxes:down",
    "status": "sandboxes:status",
    "logs": "sandboxes:logs",
    "renew-certificates": "sandboxes:renew_certificates",
    "demo": "payments:demo",
    "pay": "payments:pay",
    "shop": "payments:shop",
    "sign": "payments:sign",
    "merchants": "merchants:merchants_app",
    "networks": "networks:networks_app",
    "breaks": "breaks:breaks_app",
    "report": "breaks:report",
    "keys": "keys:keys_app",
    "audit": "audit:audit_app",
    "capture": "capture:capture_app",
    "retention": "retention:retention_app",
    "backup": "backups:backup",
    "restore": "backups:restore",
    "top": "top:top",
}


class OnDemand(TyperGroup):
    """Imports what a command needs when it is asked for: all of them need everything."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 its parent gives it
        """Return their names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 its parent gives it
        """Return a command or a group of them; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        return _command(cmd_name, getattr(import_module(f"sandbox.commands.{module}"), attribute))


def _command(name: str, of: typer.Typer | Callable[..., Any]) -> Any:
    if isinstance(of, typer.Typer):
        group = typer.main.get_group(of)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(of)
    return typer.main.get_command(alone)


app = typer.Typer(cls=OnDemand, no_args_is_help=True, add_completion=False, help=__doc__)


@app.callback()
def paymesh() -> None:
    """Do nothing: commands do."""
