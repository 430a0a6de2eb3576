"""Configuration of recon_svc."""

from __future__ import annotations

from pathlib import Path

from chassis.config import ServiceSettings


class ReconSettings(ServiceSettings):
    """What recon_svc reads from the environment besides the common variables."""

    txn_address: str
    """Where txn_svc serves gRPC, "host:port"."""
    networks_file: Path
    """The networks' own rules, YAML; see chassis/networks.py."""
    event_late_s: float = 30.0
    """How long the event of a recorded attempt may take to come before it raises an alarm."""
    inbox_url: str
    """Where the card networks leave clearing files: "file:///…", "s3://bucket/prefix" or whatever
    else obstore knows; the credentials of a bucket come from the environment as obstore reads it.
    """
