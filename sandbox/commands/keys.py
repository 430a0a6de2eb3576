"""The commands `paymesh keys …`: what becomes of the keys in key stores. Never shows a key."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from paymesh.txn.v1 import card_key_service_pb2
from paymesh.txn.v1.card_key_service_pb2_grpc import CardKeyServiceStub
from rich.table import Column, Table

from chassis.clock import SystemClock
from chassis.keystore.config import KeyStoreChoice, open_key_store
from chassis.keystore.keys import (
    CARD_PURPOSES,
    KeyInfo,
    KeyStoreError,
    KeyStoreUnavailable,
    Purpose,
)
from chassis.keystore.store import KeyStore
from sandbox import control
from sandbox.commands.options import JsonOption, StateOption, console, errors, running, state_of
from sandbox.operator_access import operator_stub
from sandbox.state import KEY_STORES, StateDir, default_state_dir

TIMEOUT_S = 30

keys_app = typer.Typer(
    no_args_is_help=True,
    help="Keys: of the store that PAYMESH_KEYS_… name, or else of the sandbox's two.",
)


@keys_app.command("list")
def list_keys(state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """List the keys by purpose, newest first, and how many rows each has still to read."""
    is_sandboxs = not _is_named()
    found: list[KeyInfo] = []
    for name in KEY_STORES if is_sandboxs else (None,):
        with key_store(state_dir, name) as store:
            found += store.list_keys()
    _print(found, _rows(state_dir) if is_sandboxs else None, as_json=as_json)


@keys_app.command("rotate")
def rotate(purpose: Purpose, state_dir: StateOption = None, *, as_json: JsonOption = False) -> None:
    """Make a new key, which takes over in half a minute; what the old one made is still read.

    Card numbers of open charges are then rewrapped: `list` says how many rows are left.
    """
    name = "cards" if purpose in CARD_PURPOSES else "audit"
    with key_store(state_dir, None if _is_named() else name) as store:
        made = store.rotate(purpose)
    _print([made], {}, as_json=as_json)


@keys_app.command("retire")
def retire(
    kid: str,
    state_dir: StateOption = None,
    *,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let txn_svc destroy a key that has been retiring for an hour and that reads no row."""
    state, status = running(state_dir)
    if not is_sure:
        typer.confirm(f"What only {kid} can read will be lost for ever. Destroy it?", abort=True)
    asyncio.run(_retire(state, status, kid))
    console.print("destroyed")


async def _retire(state: StateDir, status: dict[str, Any], kid: str) -> None:
    async with operator_stub(state.tls, status["txn"], CardKeyServiceStub) as stub:
        request = card_key_service_pb2.RetireCardKeyRequest(kid=kid)
        await stub.RetireCardKey(request, timeout=TIMEOUT_S)


def _rows(state_dir: Path | None) -> dict[str, int] | None:
    """Return the rows of each key that has any, or None where no txn_svc runs that knows."""
    state = state_of(state_dir)
    try:
        status = control.running(state)
    except control.NotRunning:
        return None
    return asyncio.run(_count(state, status))


async def _count(state: StateDir, status: dict[str, Any]) -> dict[str, int]:
    async with operator_stub(state.tls, status["txn"], CardKeyServiceStub) as stub:
        request = card_key_service_pb2.CountCardKeyRowsRequest()
        counted = await stub.CountCardKeyRows(request, timeout=TIMEOUT_S)
        return {key.kid: key.rows for key in counted.keys}


def _is_named() -> bool:
    return f"{KeyStoreChoice.model_config['env_prefix']}STORE" in os.environ


@contextmanager
def key_store(state_dir: Path | None, name: str | None) -> Iterator[KeyStore[Any]]:
    """Open a store of the sandbox, or the one that the environment names for None.

    What it refuses is told in a line.
    """
    if name is not None:
        state = StateDir((state_dir or default_state_dir()).resolve())
        state.path.mkdir(parents=True, exist_ok=True)
        os.environ.update(state.key_store(name))
    try:
        store = open_key_store(SystemClock())
        try:
            yield store
        finally:
            store.close()
    except (KeyStoreError, KeyStoreUnavailable) as refused:
        reason = refused.__cause__ if isinstance(refused, KeyStoreUnavailable) else refused
        errors.print(f"{type(refused).__name__}: {reason or refused}", soft_wrap=True)
        raise typer.Exit(1) from None


def _print(keys: list[KeyInfo], rows: dict[str, int] | None, *, as_json: bool) -> None:
    shown = [_shown(key, rows) for key in keys]
    if as_json:
        typer.echo(json.dumps(shown))
        return
    columns = (Column("kid", no_wrap=True), "purpose", "state", "created", "rows")
    table = Table(*columns, box=None, pad_edge=False, collapse_padding=True)
    for key, one in zip(keys, shown, strict=True):
        number = "?" if one["rows"] is None else str(one["rows"])
        table.add_row(key.kid, key.purpose, key.state, f"{key.created:%Y-%m-%dT%H:%M:%SZ}", number)
    console.print(table)


def _shown(key: KeyInfo, rows: dict[str, int] | None) -> dict[str, str | int | None]:
    return {
        "kid": key.kid,
        "purpose": key.purpose.value,
        "state": key.state.value,
        "created": int(key.created.timestamp()),
        "rows": None if rows is None else rows.get(key.kid, 0),
    }
