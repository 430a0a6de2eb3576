"""Configuration from the environment: what every service reads. Nothing else reads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Settings = TypeVar("Settings", bound="ServiceSettings")


class ServiceSettings(BaseSettings):
    """Variables `PAYMESH_…` of a service; a service adds its own fields."""

    model_config = SettingsConfigDict(env_prefix="PAYMESH_", extra="ignore", frozen=True)

    service_name: str
    """The name in logs, traces and in the certificate's SPIFFE id, e.g. "intent"."""
    listen: str
    """Where gRPC is served, "host:port"."""
    metrics_listen: str
    """Where Prometheus metrics are served, "host:port"."""
    database_url: SecretStr
    """The service's own database, "postgresql+psycopg://user:password@host:port/name"."""
    kafka_bootstrap: str = ""
    """Kafka's bootstrap servers, "host:port,…"; empty for a service that reads no topic."""
    tls_certificate: Path
    """The service's certificate chain, PEM."""
    tls_key: Path
    """Its private key, PEM."""
    tls_ca: Path
    """The CA of the mesh, PEM."""
    jwks_file: Path
    """The edge's public signing keys, a JSON Web Key Set."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    trace_endpoint: str | None = None
    """An OTLP collector, "host:port"; without it and `trace_file` no spans are exported."""
    trace_file: Path | None = None
    """A file that gets finished spans, one JSON object a line."""
    trace_ratio: float = 0.01
    """Which part of the requests is traced, 0 to 1, where the caller has not decided it."""
    drain_s: float = 35.0
    """How long requests in flight may still take after SIGTERM: longer than any network timeout."""


def read_settings(settings_type: type[Settings]) -> Settings:
    """Return the settings, or end the process with a line for each variable that is wrong."""
    try:
        return settings_type()
    except ValidationError as refused:
        for problem in refused.errors():
            name = "PAYMESH_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"configuration: {name}: {problem['msg']}\n")
        sys.exit(2)
