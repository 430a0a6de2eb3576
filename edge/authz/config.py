"""Configuration of edge/authz."""

from __future__ import annotations

from pathlib import Path

from chassis.config import ServiceSettings


class AuthzSettings(ServiceSettings):
    """What edge/authz reads from the environment besides the common variables."""

    http_listen: str
    """Where Envoy's checks are answered, "host:port", mutual TLS."""
    master_key_file: Path
    """32 secret bytes in base64: API secrets and bank accounts are encrypted with it."""
    jwt_key_file: Path
    """The Ed25519 key that signs callers' tokens, PEM; its `kid` is its thumbprint (RFC 7638)."""
