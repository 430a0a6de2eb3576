"""The commands `paymesh capture …`: whether Debezium captures everything, and what mends it.

`sandbox.capture` is imported where it is used: it brings Arrow, which no other command should wait
for.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from audit_svc.domain.gaps import RowsNotRead
from chassis.errors import ServiceUnavailable
from sandbox.commands.options import JsonOption, StateOption, console, errors, running

if TYPE_CHECKING:
    from sandbox.capture import Capture, CaptureControl, Repair

capture_app = typer.Typer(
    no_args_is_help=True, help="Hold the databases against the archive; repair the capture."
)
DatabaseOption = Annotated[
    str, typer.Option(help="Of one service alone: authz, intent, txn, recon, webhook.")
]
AccessOption = Annotated[
    Path | None, typer.Option(help="Where a cluster's archive, Kafka, Connect and databases are.")
]
SinceOption = Annotated[
    datetime | None, typer.Option(help="Only rows that were changed since, UTC; else all.")
]


@capture_app.command("status")
def status(
    state_dir: StateOption = None,
    *,
    access: AccessOption = None,
    database: DatabaseOption = "",
    since: SinceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each database whether everything of it is archived, and up to when that is known."""
    from sandbox.capture import shown

    control = _control(state_dir, access, since)
    try:
        found = asyncio.run(_look(control, _services(control, database)))
    except ServiceUnavailable as away:
        errors.print(str(away))
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps([shown(each) for each in found]))
    else:
        _print(found)
    if not all(each.comparison.is_clean for each in found):
        raise typer.Exit(1)


@capture_app.command("repair")
def repair(
    state_dir: StateOption = None,
    *,
    access: AccessOption = None,
    database: DatabaseOption = "",
    since: SinceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make lost slots anew, and read again what the archive lacks, until it lacks nothing."""
    from sandbox.capture import repaired

    control = _control(state_dir, access, since)
    done: list[Repair] = []
    for service in _services(control, database):
        try:
            done.append(asyncio.run(control.repair(service)))
        except (RowsNotRead, RuntimeError, TimeoutError, ServiceUnavailable) as failed:
            errors.print(f"[red]{service}[/]: {failed}", soft_wrap=True)
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps([repaired(each) for each in done]))
    else:
        for each in done:
            console.print(_done(each), soft_wrap=True)
        _print([each.after for each in done])
    if not all(each.after.comparison.is_clean for each in done):
        raise typer.Exit(1)


async def _look(control: CaptureControl, services: list[str]) -> list[Capture]:
    return list(await asyncio.gather(*map(control.look, services)))


def _control(state_dir: Path | None, access: Path | None, since: datetime | None) -> CaptureControl:
    from sandbox.capture import Access, CaptureControl, access_of

    since_us = int(since.replace(tzinfo=UTC).timestamp()) * 1_000_000 if since else 0
    where = Access(**json.loads(access.read_text())) if access else access_of(*running(state_dir))
    return CaptureControl(where, since_us=since_us)


def _services(control: CaptureControl, wanted: str) -> list[str]:
    if wanted and wanted not in control.services:
        errors.print(f"no such database; there are {', '.join(control.services)}")
        raise typer.Exit(2)
    return [wanted] if wanted else control.services


def _print(found: list[Capture]) -> None:
    table = Table("database", "connector", "slot", "verified until", "rows", "lost", "gone")
    for each in found:
        comparison = each.comparison
        table.add_row(
            each.service,
            " ".join(dict.fromkeys(each.states)) or "unreachable",
            each.slot.status or "missing",
            _minute(comparison.verified_until_us),
            *map(str, (comparison.rows, len(comparison.lost), len(comparison.gone))),
        )
    console.print(table)
    for each in found:
        for row in sorted(each.comparison.gone):
            told = f"[red]{each.service}[/] {row.table} {row.key} is not there, and was not deleted"
            errors.print(told, soft_wrap=True)


def _done(repair: Repair) -> str:
    slot = "made the slot anew, " if repair.is_slot_new else ""
    done = f"{repair.after.service}: {slot}read {len(repair.reread)} rows again"
    minutes = [_minute(each.start_us) for each in repair.before.comparison.unequal]
    if not minutes:
        return done
    return f"{done}; some of {len(minutes)} minutes were missing, {minutes[0]} to {minutes[-1]}"


def _minute(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%dT%H:%MZ")
