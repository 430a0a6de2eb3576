"""The simulated card networks: `paymesh networks`."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import typer
from rich.table import Table

from sandbox.commands.options import JsonOption, StateOption, console, running

networks_app = typer.Typer(
    no_args_is_help=True, help="Look at the simulated card networks, let them clear."
)


@networks_app.command("ledger")
def networks_ledger(state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Print the simulated issuers' own books."""
    _, found = running(state_dir)
    books = {name: _rows(network["admin"]) for name, network in found["networks"].items()}
    if as_json:
        typer.echo(json.dumps(books))
        return
    table = Table("network", "RRN", "card", "amount", "approved", "reversed", "messages")
    for name, rows in books.items():
        for row in rows:
            seen = " ".join(message["mti"] for message in row["messages"])
            flags = [str(row[field]) for field in ("amount", "approved", "reversed")]
            table.add_row(name, row["rrn"], row["card"], *flags, seen)
    console.print(table)


@networks_app.command("clear")
def networks_clear(state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Let both networks write a clearing file of what they did not present before."""
    _, found = running(state_dir)
    files = {name: _clear(network["admin"]) for name, network in found["networks"].items()}
    if as_json:
        typer.echo(json.dumps(files))
        return
    table = Table("network", "file", "lines", "totals")
    for name, written in files.items():
        sums = [f"{total['amountMinor']} {total['currency']}" for total in written["totals"]]
        table.add_row(name, written["file"], str(written["lines"]), ", ".join(sums))
    console.print(table)


def _clear(admin: str) -> dict[str, Any]:
    request = urllib.request.Request(f"http://{admin}/clearing", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 our own network
        written: dict[str, Any] = json.loads(answer.read())
        return written


def _rows(admin: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"http://{admin}/ledger", timeout=10) as answer:
        rows: list[dict[str, Any]] = json.loads(answer.read())
        return rows
