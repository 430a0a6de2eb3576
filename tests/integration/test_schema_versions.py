"""A service does not start on a schema that is too old for it, and never changes one itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.config import ServiceSettings
from chassis.database import connect
from chassis.migrate import migrate
from chassis.schema import newest_schema, require_schema
from sandbox.state import DATABASES, ROOT
from tests.integration.conftest import PACKAGES, DatabaseServer
from tests.integration.settings import settings_of

pytestmark = pytest.mark.integration


async def _required(settings: ServiceSettings, package: str) -> None:
    database = await connect(settings)
    await require_schema(database, package)
    await database.close()


@pytest.mark.parametrize("service", DATABASES)
def test_a_service_on_an_empty_database_ends_and_says_what_to_run(
    postgres: DatabaseServer, tls: Path, service: str
) -> None:
    package = PACKAGES[service]
    url = postgres.url(service, postgres.empty_database(service))

    done = subprocess.run(
        [sys.executable, "-m", package],
        env={**os.environ, **_environment(service, url, tls)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    assert f"{package} needs schema" in done.stderr
    assert "has none" in done.stderr
    assert f"python -m chassis.migrate {package}" in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_older_schema_is_refused(postgres: DatabaseServer, tls: Path) -> None:
    url = postgres.database("recon")
    settings = settings_of("recon", tls, url)
    await _required(settings, "recon_svc")

    with postgres.admin(url) as admin:
        admin.execute("update alembic_version set version_num = '0001'")

    with pytest.raises(SystemExit, match="needs schema 0002 and its database has 0001"):
        await _required(settings, "recon_svc")


async def test_a_schema_that_the_next_version_made_is_taken(
    postgres: DatabaseServer, tls: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.database("recon")

    with postgres.admin(url) as admin:
        admin.execute("update alembic_version set version_num = '0010'")
    await _required(settings_of("recon", tls, url), "recon_svc")

    assert "the schema is newer than this version" in caplog.text


def test_migrating_again_changes_nothing(postgres: DatabaseServer) -> None:
    name = postgres.empty_database("txn")
    url = postgres.url("txn_owner", name)

    for _ in range(2):
        migrate(url, "txn_svc")

    with postgres.admin(url) as admin:
        found = admin.execute("select version_num from alembic_version").fetchall()
    assert found == [(newest_schema("txn_svc"),)]


def _environment(service: str, url: str, tls: Path) -> dict[str, str]:
    """Return the variables of every service, of which each reads its own."""
    address = "127.0.0.1:1"
    named = {
        "SERVICE_NAME": service,
        "TLS_CERTIFICATE": tls / f"{service}.crt",
        "TLS_KEY": tls / f"{service}.key",
        "TLS_CA": tls / "ca.crt",
        "JWKS_FILE": tls / "jwks.json",
        "JWT_KEY_FILE": tls / "jwt.key",
        "JWT_KEY_ID": "edge-1",
        "MASTER_KEY_FILE": tls / "master.key",
        "REQUEST_KEY_FILE": tls / "request.key",
        "NETWORKS": "{}",
        "NETWORKS_FILE": ROOT / "sandbox" / "networks.yaml",
        "INBOX_URL": tls.as_uri(),
        "DATABASE_URL": url,
        **dict.fromkeys(("LISTEN", "HTTP_LISTEN", "METRICS_LISTEN"), "127.0.0.1:0"),
        **dict.fromkeys(
            ("TXN_ADDRESS", "INTENT_ADDRESS", "AUDIT_ADDRESS", "KAFKA_BOOTSTRAP"), address
        ),
    }
    return {f"PAYMESH_{name}": str(value) for name, value in named.items()}
