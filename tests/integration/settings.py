"""Settings of a service under test, as its environment would give them."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from chassis.config import ServiceSettings
from chassis.database import Database, connect


def settings_of(
    name: str, tls: Path, database_url: str = "postgresql+psycopg://"
) -> ServiceSettings:
    """Return the settings of a service with its own certificate, on any port."""
    return ServiceSettings(
        service_name=name,
        listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        database_url=SecretStr(database_url),
        tls_certificate=tls / f"{name}.crt",
        tls_key=tls / f"{name}.key",
        tls_ca=tls / "ca.crt",
        jwks_file=tls / "jwks.json",
    )


async def database_and_settings(database_url: str, tls: Path) -> tuple[Database, ServiceSettings]:
    """Return a database that is connected to, and the settings that name it."""
    settings = settings_of("edge", tls, database_url)
    return await connect(settings), settings
