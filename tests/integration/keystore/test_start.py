"""txn_svc as it starts over an HSM that has no keys yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.keystore.keys import CARD_PURPOSES
from sandbox.state import ROOT
from sandbox.topology import NETWORKS_FILE
from tests.integration.conftest import DatabaseServer
from tests.integration.keystore.parts import SoftHsmGround

pytestmark = pytest.mark.integration


def test_txn_svc_does_not_start_without_keys_and_says_how_to_make_them(
    softhsm_ground: SoftHsmGround, postgres: DatabaseServer, tls: Path
) -> None:
    settings = {
        "SERVICE_NAME": "txn",
        "LISTEN": "127.0.0.1:0",
        "METRICS_LISTEN": "127.0.0.1:0",
        "DATABASE_URL": postgres.database("txn"),
        "TLS_CERTIFICATE": str(tls / "txn.crt"),
        "TLS_KEY": str(tls / "txn.key"),
        "TLS_CA": str(tls / "ca.crt"),
        "JWKS_FILE": str(tls / "jwks.json"),
        "REQUEST_KEY_FILE": str(tls / "request.key"),
        **dict.fromkeys(("INTENT_ADDRESS", "AUDIT_ADDRESS"), "127.0.0.1:1"),
        "NETWORKS": "{}",
        "NETWORKS_FILE": str(NETWORKS_FILE),
    }

    ended = subprocess.run(
        [sys.executable, "-m", "txn_svc"],
        cwd=ROOT,
        env={
            **os.environ,
            **{f"PAYMESH_{name}": value for name, value in settings.items()},
            **softhsm_ground.environment(),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    said = [line for line in ended.stderr.splitlines() if line.startswith("configuration: ")]
    assert ended.returncode == 2, ended.stderr
    assert len(said) == len(CARD_PURPOSES)
    for purpose, line in zip(CARD_PURPOSES, said, strict=True):
        assert line.endswith(f"make the first with `paymesh keys rotate {purpose}`")
    assert "Traceback" not in ended.stderr
