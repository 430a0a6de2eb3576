"""Settings of a service under test, as its environment would give them."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from chassis.config import ServiceSettings
from chassis.database import Database, connect


async def database_and_settings(database_url: str, tls: Path) -> tuple[Database, ServiceSettings]:
    """Return a database that is connected to, and the settings that name it."""
    settings = ServiceSettings(
        service_name="test",
        listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        database_url=SecretStr(database_url),
        tls_certificate=tls / "edge.crt",
        tls_key=tls / "edge.key",
        tls_ca=tls / "ca.crt",
        jwks_file=tls / "jwks.json",
    )
    return await connect(settings), settings
