"""Payments of a sandbox's own merchant: `paymesh demo`, `pay`, `shop` and `sign`."""

from __future__ import annotations

import asyncio
import json
import shlex
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox import control
from sandbox.client import Keys, MerchantClient, signed_headers, test_card
from sandbox.commands.begin import prepared, shop_keys, started
from sandbox.commands.options import StateOption, console, errors, running
from sandbox.demo import APPROVED, Story, StoryFailed
from sandbox.shop.server import Shop, keep_open


def demo(state_dir: StateOption = None) -> None:
    """Tell the story of a payment, and leave nothing running that was not running before."""
    state = prepared(state_dir)
    was_running = control.is_running(state)
    try:
        found = started(state)
        keys = shop_keys(state, found, fresh=True)
        asyncio.run(_play(found, keys))
    except StoryFailed as failed:
        errors.print(f"[red]the story failed:[/] {failed}")
        raise typer.Exit(1) from None
    finally:
        if not was_running:
            control.down(state)
    console.print("[green]The whole story went well.[/]")


async def _play(found: dict[str, Any], keys: Keys) -> None:
    async with MerchantClient(found["edge_url"], Path(found["ca_file"]), keys) as client:
        await Story(client, console).play()


def pay(
    state_dir: StateOption = None,
    *,
    amount: Annotated[int, typer.Option(help="In minor units.")] = 1099,
    currency: str = "usd",
    card: Annotated[str, typer.Option(help="A test card.")] = APPROVED,
) -> None:
    """Create a payment and charge a test card."""
    state, found = running(state_dir)
    asyncio.run(_pay(found, shop_keys(state, found), amount, currency, card))


async def _pay(found: dict[str, Any], keys: Keys, amount: int, currency: str, card: str) -> None:
    async with MerchantClient(found["edge_url"], Path(found["ca_file"]), keys) as client:
        created = await client.call(
            "POST", "/payment-intents", {"amountInCents": amount, "currency": currency}
        )
        console.print_json(json.dumps(created.body))
        if created.status != 200:
            raise typer.Exit(1)
        charged = await client.call(
            "POST",
            f"/payment-intents/{created.body['id']}/transactions",
            {"type": "charge", "card": test_card(card)},
            idempotency_key=str(uuid.uuid4()),
        )
        console.print_json(json.dumps(charged.body))
        if charged.status != 200:
            raise typer.Exit(1)


def shop(
    state_dir: StateOption = None,
    *,
    port: Annotated[int, typer.Option(help="Where to open it, on localhost.")] = 8000,
) -> None:
    """Open a demo shop that takes cards in the browser; Ctrl-C closes it."""
    state, found = running(state_dir)
    console.print(f"http://localhost:{port}, with paymesh at {found['edge_url']}; a browser must")
    console.print(f"trust its certificate first: open {found['edge_url']}/healthz once.")
    asyncio.run(_keep_shop(found, shop_keys(state, found), port))


async def _keep_shop(found: dict[str, Any], keys: Keys, port: int) -> None:
    async with MerchantClient(found["edge_url"], Path(found["ca_file"]), keys) as client:
        await keep_open(Shop(client, found["edge_url"], keys.publishable_key), port)


def sign(
    method: str,
    path: str,
    state_dir: StateOption = None,
    *,
    data: Annotated[str, typer.Option(help="The body.")] = "",
) -> None:
    """Print a signed curl command, good for five minutes and one use."""
    state, found = running(state_dir)
    keys = shop_keys(state, found)
    headers = signed_headers(keys, method.upper(), path, data.encode())
    if method.upper() == "POST":
        headers["Idempotency-Key"] = str(uuid.uuid4())
    command = ["curl", "--cacert", found["ca_file"], "-X", method.upper()]
    if data:
        headers["Content-Type"] = "application/json"
        command += ["--data-binary", data]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    typer.echo(shlex.join([*command, found["edge_url"] + path]))
