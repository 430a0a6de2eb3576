"""Configuration of webhook_svc."""

from __future__ import annotations

from pathlib import Path

from chassis.config import ServiceSettings


class WebhookSettings(ServiceSettings):
    """What webhook_svc reads from the environment besides the common variables."""

    master_key_file: Path
    """32 secret bytes in base64: signing secrets are encrypted with it."""
    allow_private_addresses: bool = False
    """Deliver to private networks and over plain http too: for a sandbox only."""
