"""The commands `paymesh backup` and `paymesh restore`: PostgreSQL as it was at any time since."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sandbox.commands.options import JsonOption, StateOption, console, errors, running, state_of
from sandbox.platform import backups
from sandbox.platform.postgres import Postgres
from sandbox.state import StateDir

ANY_PORT = 5432  # of a socket in a folder of its own


def backup(state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Take a base backup of all databases; from the first on their WAL is archived, too."""
    state, status = running(state_dir)
    try:
        made = backups.take(_server(state, state.postgres, status["postgres_port"]))
    except backups.BackupFailed as failed:
        raise _end(failed) from None
    _say({"backup": str(made)}, f"{made} is verified and on disk", as_json=as_json)


def restore(
    to: Annotated[str, typer.Option(help="A time in ISO 8601, as 2026-11-27T12:00:00Z.")],
    into: Annotated[Path, typer.Option(help="A folder that is not there yet.")],
    state_dir: StateOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Fill a folder with the databases as they were at a time. The sandbox stays as it is."""
    state = state_of(state_dir)
    moment = _moment(to)
    server = _server(state, into.resolve(), ANY_PORT)
    try:
        done = backups.restore(state.postgres / "backups", moment, server)
    except backups.BackupFailed as failed:
        raise _end(failed) from None
    last = done.last_commit.isoformat() if done.last_commit is not None else None
    _say(
        {"folder": str(done.folder), "backup": done.backup.isoformat(), "lastCommit": last},
        f"{done.folder} holds the databases as they were at {to}; the last commit is of {last}",
        as_json=as_json,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 refused below, since it has no zone
    if moment.tzinfo is None:
        raise typer.BadParameter("A time in ISO 8601 with its zone.", param_hint="--to")
    return moment


def _server(state: StateDir, folder: Path, port: int) -> Postgres:
    return Postgres(folder, port, state.tls, state.postgres_programs)


def _end(failed: backups.BackupFailed) -> typer.Exit:
    errors.print(str(failed), soft_wrap=True, markup=False)
    return typer.Exit(1)


def _say(found: dict[str, str | None], text: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
    else:
        console.print(text, soft_wrap=True)
