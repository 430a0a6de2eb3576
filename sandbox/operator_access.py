"""Reaches services and Kafka as the platform team does: with the operator's certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import typer

from chassis.certificates import CertificateFiles, RenewedChannel
from chassis.identity import kafka_credentials


def operator_channel(tls: Path, address: str) -> grpc.aio.Channel:
    """Return a channel to a service with the platform team's certificate."""
    files = CertificateFiles(tls / "operator.crt", tls / "operator.key", tls / "ca.crt")
    options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
    return RenewedChannel(files, address, options)


def operator_kafka(bootstrap: str, tls: Path) -> dict[str, Any]:
    """Return what a client of Kafka takes to reach it with the platform team's certificate."""
    return {
        "bootstrap_servers": bootstrap,
        **kafka_credentials(tls / "operator.crt", tls / "operator.key", tls / "ca.crt"),
    }


def kafka_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return the same for the Kafka of a running sandbox, as `paymesh status --json` has it."""
    return operator_kafka(status["kafka"], Path(status["ca_file"]).parent)


@asynccontextmanager
async def operator_stub(
    tls: Path, address: str, stub: Callable[[grpc.aio.Channel], Any]
) -> AsyncIterator[Any]:
    """Give a stub of a service to a command; what the service refuses ends the command."""
    async with operator_channel(tls, address) as channel:
        try:
            yield stub(channel)
        except grpc.aio.AioRpcError as refused:
            typer.echo(refused.details(), err=True)
            raise typer.Exit(1) from None
