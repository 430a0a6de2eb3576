"""A sandbox as a whole: `paymesh up`, `down`, `status`, `renew-certificates` and `logs`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from sandbox import control
from sandbox.commands.begin import prepared, shop_keys, started
from sandbox.commands.options import JsonOption, StateOption, console, errors, running
from sandbox.platform.authority import LIFETIME


def up(
    state_dir: StateOption = None,
    *,
    certificate_lifetime: Annotated[
        int, typer.Option(help="Seconds; certificates are renewed at half of it.")
    ] = int(LIFETIME.total_seconds()),
) -> None:
    """Start PostgreSQL, Kafka, Connect, Envoy, both card networks and every service."""
    state = prepared(state_dir)
    status = started(state, timedelta(seconds=certificate_lifetime))
    keys = shop_keys(state, status)
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("edge", status["edge_url"]),
        ("CA file", status["ca_file"]),
        ("merchant", keys.merchant_id),
        ("publishable key", keys.publishable_key),
        ("secret key", keys.secret_key),
        ("logs", str(state.logs)),
    ):
        table.add_row(name, value)
    console.print(table, soft_wrap=True)


def down(state_dir: StateOption = None) -> None:
    """Stop everything; the data stays."""
    ended = control.down(prepared(state_dir))
    console.print("stopped" if ended else "nothing was running")


def status(state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Say what runs where, and how it is."""
    _, found = running(state_dir)
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("process", "pid", "health", "restarts", title=found["edge_url"])
    for row in found["processes"]:
        table.add_row(row["name"], str(row["pid"]), row["health"], str(row["restarts"]))
    console.print(table)


def renew_certificates(state_dir: StateOption = None) -> None:
    """Renew every certificate now, as happens by itself at half their life."""
    state, _ = running(state_dir)
    control.renew_certificates(state)
    console.print("renewed")


def logs(
    name: Annotated[str, typer.Argument(help="A process; all if absent.")] = "",
    state_dir: StateOption = None,
    *,
    lines: int = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
) -> None:
    """Show the logs."""
    files = sorted(prepared(state_dir).logs.glob(f"{name or '*'}.log"))
    if not files:
        errors.print(f"no log of {name or 'any process'}")
        raise typer.Exit(1)
    for file in files:
        typer.echo(f"==> {file.stem} <==\n{control.tail(file, lines)}")
    if follow:
        control.follow(files)
