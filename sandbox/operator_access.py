"""Reaches services as the platform team does: with the operator's certificate."""

from __future__ import annotations

from pathlib import Path

import grpc


def operator_channel(tls: Path, address: str) -> grpc.aio.Channel:
    """Return a channel to a service with the platform team's certificate."""
    credentials = grpc.ssl_channel_credentials(
        (tls / "ca.crt").read_bytes(),
        (tls / "operator.key").read_bytes(),
        (tls / "operator.crt").read_bytes(),
    )
    options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
    return grpc.aio.secure_channel(address, credentials, options=options)
