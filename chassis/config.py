"""Configuration from the environment: what every service reads. Nothing else reads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.certificates import CertificateFiles

Settings = TypeVar("Settings", bound=BaseSettings)


class MemberSettings(BaseSettings):
    """Variables `PAYMESH_…` of every process of the mesh, also of one that serves nothing."""

    model_config = SettingsConfigDict(env_prefix="PAYMESH_", extra="ignore", frozen=True)

    service_name: str
    """The name in logs, traces and in the certificate's SPIFFE id, e.g. "intent"."""
    tls_certificate: Path
    """The service's certificate chain, PEM."""
    tls_key: Path
    """Its private key, PEM."""
    tls_ca: Path
    """The CA of the mesh, PEM."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def certificate_files(self) -> CertificateFiles:
        """The three files of the mesh, which are renewed while the process runs."""
        return CertificateFiles(self.tls_certificate, self.tls_key, self.tls_ca)


class MeshSettings(MemberSettings):
    """Those of every process that serves."""

    listen: str
    """Where gRPC is served, "host:port"."""
    metrics_listen: str
    """Where Prometheus metrics are served, "host:port"."""
    probe_listen: str = ""
    """Where health alone is served without TLS, for Kubernetes' probes; empty for nowhere."""
    jwks_file: Path
    """The edge's public signing keys, a JSON Web Key Set."""
    trace_endpoint: str | None = None
    """An OTLP collector, "host:port"; without it and `trace_file` no spans are exported."""
    trace_file: Path | None = None
    """A file that gets finished spans, one JSON object a line."""
    trace_ratio: float = 0.01
    """Which part of the requests is traced, 0 to 1, where the caller has not decided it."""
    drain_s: float = 35.0
    """How long requests in flight may still take after SIGTERM: longer than any network timeout."""


class OwnerSettings(BaseSettings):
    """Variables of a migration, which is no process of the mesh."""

    model_config = MemberSettings.model_config

    owner_database_url: SecretStr
    """The service's own database as its owner, in the form of `database_url`."""


class RetentionSettings(MemberSettings):
    """Those of a purge, which runs and ends."""

    database_url: SecretStr
    """The service's database as the role that purges, in the form of a service's."""
    older_than_days: float = Field(default=400.0, ge=0)
    """How old what goes must be at least."""


class PaymentRetentionSettings(RetentionSettings):
    """Those of a purge of payments, which the archive must have."""

    audit_address: str
    """Where audit_svc serves gRPC, "host:port"."""
    intent_address: str = ""
    """Where intent_svc does; for the purge of txn_svc's database."""


class ServiceSettings(MeshSettings):
    """Those of a service with a database; a service adds its own fields."""

    database_url: SecretStr
    """The service's own database, "postgresql+psycopg://role@host:port/name?sslmode=verify-full&…".

    `sslrootcert`, `sslcert` and `sslkey` in it are files that are read at each connect.
    """
    kafka_bootstrap: str = ""
    """Kafka's bootstrap servers, "host:port,…"; empty for a service that reads no topic.

    It is reached with the certificate, key and CA of the mesh.
    """


class OutboxSettings(ServiceSettings):
    """Those of a service that tells others of its changes."""

    relay_after_s: float = 30.0
    """How old an event is that the service itself brings to Kafka, if nobody else has by then."""


def read_settings(settings_type: type[Settings]) -> Settings:
    """Return the settings, or end the process with a line for each variable that is wrong."""
    try:
        return settings_type()
    except ValidationError as refused:
        for problem in refused.errors():
            parts = "_".join(str(part) for part in problem["loc"]).upper()
            name = f"{settings_type.model_config.get('env_prefix', '')}{parts}: " if parts else ""
            sys.stderr.write(f"configuration: {name}{problem['msg']}\n")
        sys.exit(2)
