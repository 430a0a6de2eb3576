"""The commands `paymesh breaks …` and `paymesh report`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from paymesh.recon.v1 import reconciliation_service_pb2 as recon_pb2
from rich.table import Table

from chassis.money import CURRENCIES
from sandbox import breaks
from sandbox.commands.options import JsonOption, StateOption, console, running

breaks_app = typer.Typer(help="Differences between our books and the card networks' files.")


@breaks_app.callback(invoke_without_command=True)
def list_breaks(  # noqa: PLR0913 one for each option of the command
    context: typer.Context,
    state_dir: StateOption = None,
    *,
    include_resolved: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    status: Annotated[str, typer.Option(help="Only these: open or resolved.")] = "",
    kind: Annotated[str, typer.Option(help="Only of this kind, e.g. amount_over.")] = "",
    network: Annotated[str, typer.Option(help="Only of this card network.")] = "",
    owner: Annotated[str, typer.Option(help="Only those given to this person.")] = "",
    date_from: Annotated[str, typer.Option("--from", help="Only of this business date on.")] = "",
    date_to: Annotated[str, typer.Option("--to", help="Only up to this business date.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the open breaks, oldest first."""
    if context.invoked_subcommand is not None:
        return
    asked = recon_pb2.ListBreaksRequest(
        kind=_value("--kind", recon_pb2.BreakKindEnum.BreakKind, kind),
        network=network,
        include_resolved=include_resolved,
        status=_value("--status", recon_pb2.BreakStatusEnum.BreakStatus, status),
        owner=owner,
        business_date_from=date_from,
        business_date_to=date_to,
    )
    found = asyncio.run(breaks.list_breaks(*running(state_dir), asked))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("id", "age", "kind", "network", "ours", "theirs", "line", "owner", "what to do")
    for one in found:
        table.add_row(
            one["id"],
            _age(one["ageInSeconds"]),
            one["kind"],
            one["network"],
            _side(one.get("ours")),
            _side(one.get("theirs")),
            one.get("clearingLine", ""),
            one.get("owner", ""),
            one["resolution"]["reason"] if "resolution" in one else one["proposedAction"],
        )
    console.print(table)


@breaks_app.command("import")
def import_files(state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Take the new clearing files now, not in a few seconds."""
    state, status = running(state_dir)
    files = asyncio.run(breaks.import_files(state, status))
    if as_json:
        typer.echo(json.dumps(files))
        return
    table = Table("file", "status", "lines", "rejected", "why")
    for file in files:
        refusal = file.get("refusal", {})
        place = f" (record {refusal['record']})" if "record" in refusal else ""
        why = f"{refusal['field']} {refusal['reason']}{place}" if refusal else ""
        table.add_row(file["name"], file["status"], str(file["lines"]), str(file["rejected"]), why)
    console.print(table)


@breaks_app.command("assign")
def assign(
    break_id: str, owner: Annotated[str, typer.Option("--to")], state_dir: StateOption = None
) -> None:
    """Give a break to a person."""
    state, status = running(state_dir)
    changed = asyncio.run(breaks.assign_break(state, status, break_id, owner))
    console.print(f"{changed['id']} is {changed['owner']}'s")


@breaks_app.command("resolve")
def resolve(
    break_id: str,
    by: Annotated[str, typer.Option("--by", help="Who decided.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence.")],
    state_dir: StateOption = None,
) -> None:
    """Close a break. The payment itself is not changed by this."""
    state, status = running(state_dir)
    changed = asyncio.run(breaks.resolve_break(state, status, break_id, by, reason))
    console.print(f"{changed['id']} is resolved")


def report(
    state_dir: StateOption = None,
    *,
    date: Annotated[str, typer.Option(help="A business date; the newest if absent.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Say what the clearing files of a business date come to, to the cent."""
    state, status = running(state_dir)
    found = asyncio.run(breaks.daily_report(state, status, date))
    if as_json:
        typer.echo(json.dumps(found))
        return
    console.print(f"business date {found['businessDate']}")
    files = Table("network", "files taken", "files refused", "records rejected")
    for row in found["files"]:
        files.add_row(
            *(str(row[name]) for name in ("network", "taken", "refused")),
            str(row["rejectedRecords"]),
        )
    console.print(files)
    sums = Table("network", "currency", "what", "lines", "amount", "open", "ours")
    for row in found["rows"]:
        for name in ("declared", "matched", "waiting", "rejected"):
            sums.add_row(row["network"], row["currency"], name, *_sum(row[name], row["currency"]))
        for part in row["breaks"]:
            sums.add_row(
                row["network"],
                row["currency"],
                f"{part['kind']} ({part['count']})",
                *_sum(part["theirs"], row["currency"]),
                str(part["openCount"]),
                _amount(part["oursMinor"], row["currency"]),
            )
    console.print(sums)


def _value(option: str, names: EnumTypeWrapper, name: str) -> Any:
    """Return the number of an enum's name; 0 for none. Raises typer.BadParameter."""
    if name in names.keys()[1:]:
        return names.Value(name)
    if name:
        raise typer.BadParameter(f"is one of {', '.join(names.keys()[1:])}", param_hint=option)
    return 0


def _side(side: dict[str, Any] | None) -> str:
    return f"{_amount(side['amountMinor'], side['currency'])} {side['currency']}" if side else ""


def _sum(of: dict[str, Any], currency: str) -> tuple[str, str]:
    return str(of["lines"]), _amount(of["amountMinor"], currency)


def _amount(minor: int, currency: str) -> str:
    exponent = CURRENCIES[currency].exponent if currency in CURRENCIES else 0
    if not exponent:
        return str(minor)
    whole, part = divmod(abs(minor), 10**exponent)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{exponent}d}"


def _age(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
