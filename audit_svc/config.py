"""Configuration of audit_svc."""

from __future__ import annotations

from chassis.config import MeshSettings


class AuditSettings(MeshSettings):
    """What audit_svc reads from the environment besides the common variables. It has no database.

    The key that signs is in the store that `PAYMESH_KEYS_…` names, see chassis/keystore/config.py.
    """

    kafka_bootstrap: str
    """Kafka's bootstrap servers, "host:port,…", reached with the certificate of the mesh."""
    archive_url: str
    """Where the archive is: "file:///…", "s3://bucket/prefix" or whatever else obstore knows; the
    credentials of a bucket come from the environment as obstore reads it.
    """
    file_s_max: float = 60.0
    """After how long a file is written though it is small: how old what is in Kafka alone gets."""
    file_records_max: int = 20_000
    """How many records a file has at most, but for the last that were read together."""
