"""Configuration of Envoy: what stands for each placeholder of `envoy.yaml`."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class EnvoySettings(BaseSettings):
    """Variables `PAYMESH_ENVOY_…`, each with the name of its placeholder."""

    model_config = SettingsConfigDict(env_prefix="PAYMESH_ENVOY_", extra="ignore", frozen=True)

    edge_address: str
    """Where merchants and browsers connect."""
    edge_port: int
    admin_port: int
    """Of Envoy's admin interface, on loopback."""
    metrics_port: int
    """Where Prometheus reads the statistics."""
    tls_dir: Path
    """A folder with `edge.crt`, `edge.key`, `public.crt`, `public.key` and the mesh's `ca.crt`."""
    access_log: Path
    authz_host: str
    authz_port: int
    web_host: str
    web_port: int
    intent_host: str
    intent_port: int
    txn_host: str
    txn_port: int
    webhook_host: str
    webhook_port: int
    collector_host: str
    """Where spans go, by OTLP."""
    collector_port: int
