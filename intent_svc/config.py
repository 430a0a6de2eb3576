"""Configuration of intent_svc."""

from __future__ import annotations

from pathlib import Path

from chassis.config import OutboxSettings


class IntentSettings(OutboxSettings):
    """What intent_svc reads from the environment besides the common variables."""

    txn_address: str
    """Where txn_svc serves gRPC, "host:port"."""
    audit_address: str
    """Where audit_svc serves gRPC, "host:port": it reads what was purged here."""
    request_key_file: Path
    """32 secret bytes in base64: client secrets are derived from it."""
