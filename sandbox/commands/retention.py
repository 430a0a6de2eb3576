"""The command `paymesh retention run`: all purges, one after the other, as their own roles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Annotated

import typer

from sandbox.commands.options import JsonOption, StateOption, console, errors, running
from sandbox.state import PURGERS, ROOT

retention_app = typer.Typer(no_args_is_help=True, help="Purge what is over for long.")


@retention_app.callback()
def retention() -> None:
    """Purge what is over for long."""


@retention_app.command("run")
def run(
    state_dir: StateOption = None,
    *,
    older_than: Annotated[float, typer.Option(help="Days that it must be old.")] = 400,
    as_json: JsonOption = False,
) -> None:
    """Delete what is over and older: payments that are in the archive exactly as they are, events
    with their deliveries, attempts that are cleared. What is not stays.

    A payment's transactions go with the first run after its intent is gone and archived. What may
    come again from Kafka stays whatever its age is.
    """
    state, status = running(state_dir)
    found = {}
    for role, service in PURGERS.items():
        settings = {
            "SERVICE_NAME": role,
            "TLS_CERTIFICATE": state.tls / f"{role}.crt",
            "TLS_KEY": state.tls / f"{role}.key",
            "TLS_CA": state.tls / "ca.crt",
            "DATABASE_URL": status["purgers"][role],
            "AUDIT_ADDRESS": status["audit"],
            "INTENT_ADDRESS": status["intent"],
            "OLDER_THAN_DAYS": older_than,
        }
        done = subprocess.run(
            [sys.executable, "-m", f"{service}_svc.retention"],
            cwd=ROOT,
            env={**os.environ, **{f"PAYMESH_{key}": str(each) for key, each in settings.items()}},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            errors.print(done.stderr, markup=False)
            raise typer.Exit(1)
        found[service] = json.loads(done.stdout)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for service, told in found.items():
        console.print(f"{service}: {', '.join(f'{told[each]} {each}' for each in told)}")
