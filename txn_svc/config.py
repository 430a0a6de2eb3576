"""Configuration of txn_svc."""

from __future__ import annotations

from pathlib import Path

from chassis.config import ServiceSettings


class TxnSettings(ServiceSettings):
    """What txn_svc reads from the environment besides the common variables."""

    intent_address: str
    """Where intent_svc serves gRPC, "host:port"."""
    request_key_file: Path
    """32 secret bytes in base64: hashes of requests that hold cards are keyed with it."""
    networks: dict[str, list[str]]
    """Addresses by card network, JSON, e.g. {"visa_sim": ["10.0.0.1:9001"]}."""
    networks_file: Path
    """The networks' own rules, YAML; see chassis/networks.py."""
    network_connections: int = 2
    """Connections to each address of a network."""
