"""The commands `paymesh merchants …`: merchants and their API keys."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from paymesh.merchant.v1 import api_key_rights_pb2 as rights_pb2
from paymesh.merchant.v1 import merchant_service_pb2 as merchant_pb2
from rich.console import Console
from rich.table import Column, Table

from chassis.fields import OVERLAP_S_DEFAULT, OVERLAP_S_MAX
from sandbox import merchants
from sandbox.commands.domains import domains_app
from sandbox.commands.options import JsonOption, StateOption, running

merchants_app = typer.Typer(no_args_is_help=True, help="Take merchants on, manage their API keys.")
keys_app = typer.Typer(no_args_is_help=True, help="Make, limit, roll and revoke API keys.")
merchants_app.add_typer(keys_app, name="keys")
merchants_app.add_typer(domains_app, name="domains")

console = Console(width=200)  # ids and limits stay whole; a narrow terminal wraps them itself

ModeOption = Annotated[Literal["test", "live"], typer.Option()]
ByOption = Annotated[
    str, typer.Option("--by", help="Who asks for it.", default_factory=getpass.getuser)
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="RESOURCE:ACCESS",
        help="Only this, e.g. payment_intents:read or transactions:read_write; repeat for more.",
    ),
]
FromOption = Annotated[
    list[str] | None,
    typer.Option("--from", metavar="CIDR", help="Only from this network; repeat for more."),
]


@merchants_app.command("create")
def create_merchant(
    name: Annotated[str, typer.Option()],
    mode: ModeOption = "test",
    state_dir: StateOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Take a merchant on and print its keys; the secret key is shown this once."""
    keys = asyncio.run(merchants.create_merchant(*running(state_dir), name, mode))
    made = {
        "merchantId": keys.merchant_id,
        "publishableKey": keys.publishable_key,
        "secretKey": keys.secret_key,
    }
    _print_lines(made, made, as_json=as_json)


@keys_app.command("create")
def create_key(  # noqa: PLR0913 one for each option of the command
    merchant_id: str,
    mode: ModeOption = "test",
    state_dir: StateOption = None,
    *,
    allow: AllowOption = None,
    networks: FromOption = None,
    requested_by: ByOption,
    as_json: JsonOption = False,
) -> None:
    """Make a pair of keys; the secret key is shown this once."""
    asked = merchant_pb2.CreateApiKeyRequest(
        merchant_id=merchant_id,
        mode=mode,
        requested_by=requested_by,
        rights=_rights(allow),
        networks=_networks(networks),
    )
    made = asyncio.run(merchants.create_key(*running(state_dir), asked))
    _print_new(made, as_json=as_json)


@keys_app.command("list")
def list_keys(
    merchant_id: str, state_dir: StateOption = None, *, as_json: JsonOption = False
) -> None:
    """List a merchant's keys, newest first, without secrets."""
    found = asyncio.run(merchants.list_keys(*running(state_dir), merchant_id))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(
        Column("id", no_wrap=True),
        Column("publishable key", no_wrap=True),
        *("secret", "state", "created", "last used", "expires", "may", "from"),
        box=None,
    )
    for key in found:
        table.add_row(
            key["id"],
            key["publishableKey"],
            f"…{key['secretLast4']}",
            key["status"],
            *(_time(key.get(name)) for name in ("created", "lastUsed", "expires")),
            *_limits(key),
        )
    console.print(table)


@keys_app.command("roll")
def roll_key(
    key_id: str,
    state_dir: StateOption = None,
    *,
    overlap_s: Annotated[
        int,
        typer.Option(
            "--overlap",
            min=0,
            max=OVERLAP_S_MAX,
            help="Seconds for which the old pair still works.",
        ),
    ] = OVERLAP_S_DEFAULT,
    requested_by: ByOption,
    as_json: JsonOption = False,
) -> None:
    """Replace a pair of keys by a new one with the same limits; its secret is shown this once."""
    asked = merchant_pb2.RollApiKeyRequest(
        api_key_id=key_id, overlap_in_seconds=overlap_s, requested_by=requested_by
    )
    made = asyncio.run(merchants.roll_key(*running(state_dir), asked))
    _print_new(made, as_json=as_json)


@keys_app.command("revoke")
def revoke_key(key_id: str, state_dir: StateOption = None, *, requested_by: ByOption) -> None:
    """End a pair of keys; no edge takes it any more 2 seconds later."""
    asyncio.run(merchants.revoke_key(*running(state_dir), key_id, requested_by))
    console.print("revoked")


@keys_app.command("restrict")
def restrict_key(
    key_id: str,
    state_dir: StateOption = None,
    *,
    allow: AllowOption = None,
    networks: FromOption = None,
    requested_by: ByOption,
) -> None:
    """Set what a pair of keys may do and from where; what is not given stays as it is."""
    asked = merchant_pb2.RestrictApiKeyRequest(
        api_key_id=key_id,
        requested_by=requested_by,
        rights=_rights(allow),
        networks=_networks(networks),
    )
    key = asyncio.run(merchants.restrict_key(*running(state_dir), asked))
    may, place = _limits(key)
    console.print(f"{key['id']} may {may}, from {place}", soft_wrap=True)


@keys_app.command("history")
def history(
    merchant_id: str, state_dir: StateOption = None, *, as_json: JsonOption = False
) -> None:
    """List what was done to a merchant's keys and by whom, newest first."""
    found = asyncio.run(merchants.list_changes(*running(state_dir), merchant_id))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(
        *("when", "who", "what", Column("id", no_wrap=True), "expires", "may", "from"), box=None
    )
    for change in found:
        table.add_row(
            _time(change["created"]),
            change["requestedBy"],
            change["action"],
            change["apiKeyId"],
            _time(change.get("expires")),
            *_limits(change),
        )
    console.print(table)


def _rights(allowed: Sequence[str] | None) -> rights_pb2.ApiKeyRights | None:
    """Return the rights that "RESOURCE:ACCESS" texts say. Raises typer.BadParameter."""
    if not allowed:
        return None
    resources = rights_pb2.ResourceEnum.Resource.keys()[1:]
    accesses = rights_pb2.AccessEnum.Access.keys()[1:]
    rights = rights_pb2.ApiKeyRights()
    for text in allowed:
        resource, _, access = text.partition(":")
        if resource not in resources or access not in accesses:
            raise typer.BadParameter(
                f"{text!r} is not one of {', '.join(resources)}, a colon, and one of "
                f"{', '.join(accesses)}",
                param_hint="--allow",
            )
        rights.permissions.add(resource=resource, access=access)
    return rights


def _networks(cidrs: Sequence[str] | None) -> rights_pb2.ApiKeyNetworks | None:
    return rights_pb2.ApiKeyNetworks(cidrs=cidrs) if cidrs else None


def _limits(of: dict[str, Any]) -> tuple[str, str]:
    """Return what a key may do and from where."""
    permissions = of.get("rights", {}).get("permissions", [])
    may = ", ".join(f"{one['resource']}:{one['access']}" for one in permissions)
    return may or "everything", ", ".join(of.get("networks", {}).get("cidrs", [])) or "anywhere"


def _print_new(made: dict[str, Any], *, as_json: bool) -> None:
    key = made["apiKey"]
    lines = {
        "id": key["id"],
        "publishableKey": key["publishableKey"],
        "secretKey": made["secretKey"],
    }
    _print_lines(lines, made, as_json=as_json)


def _print_lines(lines: dict[str, str], whole: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(whole))
        return
    for label, value in lines.items():
        console.print(f"{label}: {value}", soft_wrap=True)


def _time(seconds: int | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
