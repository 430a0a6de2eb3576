"""Configuration of txn_svc."""

from __future__ import annotations

from pathlib import Path

from chassis.config import OutboxSettings
from txn_svc.networks.link import NetworkLink


class TxnSettings(OutboxSettings):
    """What txn_svc reads from the environment besides the common variables."""

    intent_address: str
    """Where intent_svc serves gRPC, "host:port"."""
    audit_address: str
    """Where audit_svc serves gRPC, "host:port": it reads what was purged here."""
    request_key_file: Path
    """32 secret bytes in base64: hashes of requests that hold cards are keyed with it."""
    networks: dict[str, NetworkLink]
    """How each card network is reached, JSON: {"visa_sim": {"addresses": ["10.0.0.1:9001"], …}};
    see txn_svc/networks/link.py."""
    networks_file: Path
    """The networks' own rules, YAML; see chassis/networks.py."""
    network_connections: int = 2
    """Connections to each address of a network."""
