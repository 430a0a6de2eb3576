"""The command `paymesh top`: the figures of a running sandbox, again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.columns import Columns
from rich.console import Group
from rich.live import Live
from rich.table import Table

from sandbox.commands.options import JsonOption, StateOption, console, running
from sandbox.top.figures import DATABASES, EVENTS, OUTCOMES, PAYMENTS, PROCESSES, Figure, Unit
from sandbox.top.frame import Frame, Row, frame, look

UNKNOWN = "?"
SECTIONS: dict[str, list[Figure]] = {
    "payments": PAYMENTS,
    "outcomes": OUTCOMES,
    "events and archive": [*EVENTS, *DATABASES],
    "processes": PROCESSES,
}


def top(
    state_dir: StateOption = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds from one frame to the next.")] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """Show rates, times, backlogs and who is down, as the dashboards do; Ctrl-C ends it."""
    frames = _frames(state_dir, interval)
    if as_json:
        for one in frames:
            typer.echo(json.dumps(one.as_json()))
            if once:
                return
    if once:
        console.print(shown(next(frames)))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for one in frames:
            live.update(shown(one), refresh=True)


def _frames(state_dir: Path | None, interval_s: float) -> Iterator[Frame]:
    """Yield a frame after each interval, until the sandbox is no more."""
    before = look(running(state_dir)[1]["processes"])
    while True:
        time.sleep(interval_s)
        now = look(running(state_dir)[1]["processes"])
        yield frame(before, now)
        before = now


def shown(one: Frame) -> Group:
    """Return a frame as it is printed."""
    states = Table("process", "state", box=None)
    for name, state in one.states.items():
        color = "green" if state == "healthy" else "red"
        states.add_row(name, f"[{color}]{state}[/]")
    tables = [_table(title, figures, one) for title, figures in SECTIONS.items()]
    at = one.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Group(f"[bold]{at}[/], over {one.interval_s:.1f} s", Columns([*tables, states]))


def _table(title: str, figures: list[Figure], one: Frame) -> Table:
    table = Table(title, "", "now", "in all", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    rows = [row for row in one.rows if row.figure in figures]
    for panel, group in groupby(rows, key=lambda row: row.figure.panel):
        for number, row in enumerate(group):
            total = UNKNOWN if row.value.total is None else f"{row.value.total:,.0f}"
            table.add_row("" if number else panel, _legend(row), _now(row), total)
    return table


def _legend(row: Row) -> str:
    return " ".join([*row.labels.values(), *([row.figure.legend] if row.figure.legend else [])])


def _now(row: Row) -> str:
    return UNKNOWN if row.value.now is None else FORMATS[row.figure.unit](row.value.now)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))


FORMATS: dict[Unit, Callable[[float], str]] = {
    "reqps": lambda value: f"{value:,.1f}/s",
    "percentunit": lambda value: f"{value:.1%}",
    "s": _duration,
    "ms": lambda value: _duration(value / 1000),
    "bytes": lambda value: f"{value / 1e6:,.0f} MB",
    "short": lambda value: f"{value:,.0f}" if value == round(value) else f"{value:,.2f}",
}
