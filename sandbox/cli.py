"""The command line: `paymesh up`, `demo`, `pay` and the rest."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import urllib.request
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sandbox import control
from sandbox.audit_cli import audit_app
from sandbox.backup_cli import backup, restore
from sandbox.breaks_cli import breaks_app, report
from sandbox.capture_cli import capture_app
from sandbox.client import Keys, MerchantClient, signed_headers, test_card
from sandbox.command import JsonOption, StateOption, console, errors, running, state_of
from sandbox.demo import APPROVED, Story, StoryFailed
from sandbox.keys_cli import keys_app
from sandbox.merchants import create_merchant
from sandbox.merchants_cli import merchants_app
from sandbox.platform.authority import LIFETIME
from sandbox.retention_cli import retention_app
from sandbox.shop.server import Shop, keep_open
from sandbox.state import StateDir
from sandbox.top_cli import top

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
networks_app = typer.Typer(
    no_args_is_help=True, help="Look at the simulated card networks, let them clear."
)
app.add_typer(merchants_app, name="merchants")
app.add_typer(networks_app, name="networks")
app.add_typer(breaks_app, name="breaks")
app.add_typer(keys_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(retention_app, name="retention")
app.add_typer(capture_app, name="capture")
app.command("report")(report)
app.command("top")(top)
app.command("backup")(backup)
app.command("restore")(restore)


@app.command()
def up(
    state_dir: StateOption = None,
    *,
    certificate_lifetime: Annotated[
        int, typer.Option(help="Seconds; certificates are renewed at half of it.")
    ] = int(LIFETIME.total_seconds()),
) -> None:
    """Start PostgreSQL, Kafka, Connect, Envoy, both card networks and every service."""
    state = _state(state_dir)
    status = _up(state, timedelta(seconds=certificate_lifetime))
    keys = _merchant(state, status)
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


@app.command()
def down(state_dir: StateOption = None) -> None:
    """Stop everything; the data stays."""
    ended = control.down(_state(state_dir))
    console.print("stopped" if ended else "nothing was running")


@app.command()
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


@app.command("renew-certificates")
def renew_certificates(state_dir: StateOption = None) -> None:
    """Renew every certificate now, as happens by itself at half their life."""
    state, _ = running(state_dir)
    control.renew_certificates(state)
    console.print("renewed")


@app.command()
def demo(state_dir: StateOption = None) -> None:
    """Tell the story of a payment, and leave nothing running that was not running before."""
    state = _state(state_dir)
    was_running = control.is_running(state)
    try:
        found = _up(state)
        keys = _merchant(state, found, fresh=True)
        asyncio.run(_play(found, keys))
    except StoryFailed as failed:
        errors.print(f"[red]the story failed:[/] {failed}")
        raise typer.Exit(1) from None
    finally:
        if not was_running:
            control.down(state)
    console.print("[green]The whole story went well.[/]")


@app.command()
def pay(
    state_dir: StateOption = None,
    *,
    amount: Annotated[int, typer.Option(help="In minor units.")] = 1099,
    currency: str = "usd",
    card: Annotated[str, typer.Option(help="A test card.")] = APPROVED,
) -> None:
    """Create a payment and charge a test card."""
    state, found = running(state_dir)
    asyncio.run(_pay(found, _merchant(state, found), amount, currency, card))


@app.command()
def shop(
    state_dir: StateOption = None,
    *,
    port: Annotated[int, typer.Option(help="Where to open it, on localhost.")] = 8000,
) -> None:
    """Open a demo shop that takes cards in the browser; Ctrl-C closes it."""
    state, found = running(state_dir)
    console.print(f"http://localhost:{port}, with paymesh at {found['edge_url']}; a browser must")
    console.print(f"trust its certificate first: open {found['edge_url']}/healthz once.")
    asyncio.run(_keep_shop(found, _merchant(state, found), port))


async def _keep_shop(found: dict[str, Any], keys: Keys, port: int) -> None:
    async with MerchantClient(found["edge_url"], Path(found["ca_file"]), keys) as client:
        await keep_open(Shop(client, found["edge_url"], keys.publishable_key), port)


@app.command()
def sign(
    method: str,
    path: str,
    state_dir: StateOption = None,
    *,
    data: Annotated[str, typer.Option(help="The body.")] = "",
) -> None:
    """Print a signed curl command, good for five minutes and one use."""
    state, found = running(state_dir)
    keys = _merchant(state, found)
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


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A process; all if absent.")] = "",
    state_dir: StateOption = None,
    *,
    lines: int = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
) -> None:
    """Show the logs."""
    files = sorted(_state(state_dir).logs.glob(f"{name or '*'}.log"))
    if not files:
        errors.print(f"no log of {name or 'any process'}")
        raise typer.Exit(1)
    for file in files:
        typer.echo(f"==> {file.stem} <==\n{control.tail(file, lines)}")
    if follow:
        control.follow(files)


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


def _state(path: Path | None) -> StateDir:
    state = state_of(path)
    state.path.mkdir(parents=True, exist_ok=True)
    return state


def _up(state: StateDir, certificate_lifetime: timedelta = LIFETIME) -> dict[str, Any]:
    # Ctrl-C must work also where a shell started us in the background and ignores it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with console.status("starting") as display:
            return control.up(state, display.update, certificate_lifetime=certificate_lifetime)
    except control.SandboxFailed as failed:
        errors.print(f"[red]the sandbox did not start:[/] {failed}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _merchant(state: StateDir, found: dict[str, Any], *, fresh: bool = False) -> Keys:
    """Return the sandbox's own test merchant, or a new one."""
    file = state.path / "merchant.json"
    if file.exists() and not fresh:
        return Keys(**json.loads(file.read_text()))
    keys = asyncio.run(create_merchant(state, found, "Lemon Shop", "test"))
    if not fresh:
        file.touch(mode=0o600)
        file.write_text(
            json.dumps(
                {
                    "merchant_id": keys.merchant_id,
                    "publishable_key": keys.publishable_key,
                    "secret_key": keys.secret_key,
                }
            )
        )
    return keys


async def _play(found: dict[str, Any], keys: Keys) -> None:
    async with MerchantClient(found["edge_url"], Path(found["ca_file"]), keys) as client:
        await Story(client, console).play()


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
