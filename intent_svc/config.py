"""Configuration of intent_svc."""

from __future__ import annotations

from pathlib import Path

from chassis.config import ServiceSettings


class IntentSettings(ServiceSettings):
    """What intent_svc reads from the environment besides the common variables."""

    txn_address: str
    """Where txn_svc serves gRPC, "host:port"."""
    request_key_file: Path
    """32 secret bytes in base64: client secrets are derived from it."""
