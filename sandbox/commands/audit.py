"""The commands `paymesh audit …`: stories of payments, the proof of the archive, SQL over it.

`sandbox.audit` is imported where it is used: it brings DuckDB and Arrow, half a second that no
other command should wait for.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from chassis.errors import ServiceUnavailable
from sandbox import control
from sandbox.commands.keys import key_store
from sandbox.commands.options import JsonOption, StateOption, console, errors, running, state_of

audit_app = typer.Typer(
    no_args_is_help=True, help="Tell the story of a payment; prove and query the archive."
)


@audit_app.command("history")
def history(payment: str, state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Tell everything that happened to a payment, field by field, and what its rows are now."""
    from sandbox import audit

    state, status = running(state_dir)
    found = asyncio.run(audit.history(state, status, payment))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for change in found["changes"]:
        _print_change(change)
    rows = Table("service", "table", "row", "now")
    for row in found["rows"]:
        now = "deleted" if "values" not in row else json.loads(row["values"]).get("status", "")
        if row["isPurged"]:
            now = f"purged, was {now}"
        rows.add_row(row["service"], row["table"], row["rowId"], row.get("gap", now))
    console.print(rows)
    for row in found["rows"]:
        if "reread" in row:
            told = f"[yellow]{row['table']} {row['rowId']}[/]: {row['reread']}"
            errors.print(told, soft_wrap=True)
    if any("gap" in row for row in found["rows"]):
        errors.print("[red]Changes are missing.[/]")
        raise typer.Exit(1)


@audit_app.command("verify")
def verify(
    state_dir: StateOption = None,
    *,
    archive: Annotated[str, typer.Option(help="An archive's URL: verify it here, alone.")] = "",
    keys: Annotated[
        Path | None, typer.Option(help="The public keys for that, as `audit keys` prints them.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove the archive; name the first link of each partition's chain that does not hold."""
    found = _verified(state_dir, archive, keys)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for broken in found["brokenLinks"]:
            errors.print(f"[red]{broken['file']}[/] {broken['reason']}", soft_wrap=True)
        until = found.get("provedUntilMs")
        console.print(
            f"{found['records']} records in {found['files']} files of {found['partitions']} "
            f"partitions are proved, up to {_time(until * 1000) if until else 'nothing'}",
            soft_wrap=True,
        )
    if found["brokenLinks"]:
        raise typer.Exit(1)


@audit_app.command("query")
def query(sql: str, state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Ask the archive in SQL (DuckDB): `select op, count(*) from archive group by op`.

    The table `archive` has topic, partition, offset, timestamp, key, headers, value, and of row
    changes op, "table", before, after (JSON), committed, tx_id, lsn.
    """
    import duckdb

    from sandbox import audit

    try:
        found = audit.query(state_of(state_dir).archive, sql)
        rows, columns = (found.fetchall(), found.columns) if found else ([], [])
    except duckdb.Error as refused:
        errors.print(str(refused), soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], default=str))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


@audit_app.command("keys")
def keys(state_dir: StateOption = None) -> None:
    """Print the public keys that verify the archive, a JSON Web Key Set."""
    from sandbox import audit

    with key_store(state_dir, "audit") as store:
        typer.echo(audit.jwks(store.verification_keys()))


def _verified(state_dir: Path | None, url: str, keys: Path | None) -> dict[str, Any]:
    from sandbox import audit

    state = state_of(state_dir)
    if not url:
        try:
            return asyncio.run(audit.verify_running(state, control.running(state)))
        except control.NotRunning:
            url = state.archive.as_uri()
    try:
        if keys is not None:
            return audit.verify_alone(url, audit.read_jwks(keys.read_text()))
        with key_store(state_dir, "audit") as store:
            return audit.verify_alone(url, store.verification_keys())
    except (ServiceUnavailable, OSError, ValueError, LookupError) as refused:
        errors.print(f"{type(refused).__name__}: {refused}", soft_wrap=True)
        raise typer.Exit(1) from None


def _print_change(change: dict[str, Any]) -> None:
    where = f"{change['topic']}/{change['partition']} {change['offset']}"
    kept = "archived" if change["isArchived"] else "in Kafka"
    console.print(
        f"[bold]{_time(change['committedUs'])}[/] {change['service']}.{change['table']} "
        f"{change['rowId']} [bold]{change['action']}[/] "
        f"(transaction {change.get('transactionId', 'none')}, {where}, {kept})",
        soft_wrap=True,
        highlight=False,
    )
    for field in change["fields"]:
        before, after = field.get("before"), field.get("after")
        told = (
            after if before is None else f"{before} → {after if after is not None else 'nothing'}"
        )
        console.print(f"    {field['name']}: {told}", soft_wrap=True, highlight=False, markup=False)


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
