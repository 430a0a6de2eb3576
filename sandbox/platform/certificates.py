"""What a sandbox's parties show each other, and the keys that services keep in files."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from chassis.identity import key_id
from sandbox.platform.authority import LIFETIME, Authority, localhost, pem, write_secret
from sandbox.state import OWNERS, PURGERS

NAMES = (
    *("edge", "authz", "web", "intent", "txn", "recon", "webhook", "audit"),
    *("collector", "operator"),
    *("postgres", *OWNERS, *PURGERS, "debezium", "kafka", "connect"),
)
LONG_LIVED = ("kafka", "connect")
LOOK_S = 1.0
LOG = logging.getLogger(__name__)


def mesh_authority(tls: Path, lifetime: timedelta) -> Authority:
    """Return the CA of the mesh: a certificate for each service, and the edge's public one."""
    names = {name: localhost(f"spiffe://paymesh/{name}") for name in NAMES}
    return Authority(tls, names | {"public": localhost()}, lifetime, LONG_LIVED)


def issue(tls: Path) -> None:
    """Write certificates of the usual lifetime into a folder, and the keys that are not there."""
    mesh_authority(tls, LIFETIME).renew()
    create_missing_keys(tls)


def create_missing_keys(tls: Path) -> None:
    """Write the keys that live longer than certificates, once."""
    if not (tls / "jwt.key").exists():
        key = ed25519.Ed25519PrivateKey.generate()
        publish_signing_keys(tls, [key])
        write_secret(tls / "jwt.key", pem(key))
    for name in ("master", "request"):
        if not (tls / f"{name}.key").exists():
            write_secret(tls / f"{name}.key", base64.b64encode(secrets.token_bytes(32)))


def publish_signing_keys(tls: Path, keys: Sequence[ed25519.Ed25519PrivateKey]) -> None:
    """Let services take what is signed with these keys of the edge, and nothing else."""
    listed = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": key_id(key),
            "use": "sig",
            "alg": "EdDSA",
            "x": base64.urlsafe_b64encode(key.public_key().public_bytes_raw())
            .rstrip(b"=")
            .decode(),
        }
        for key in keys
    ]
    fresh = tls / "jwks.new"
    fresh.write_text(json.dumps({"keys": listed}))
    fresh.replace(tls / "jwks.json")


class Renewals:
    """Renews certificates at half their life, and when it is asked to.

    after: called after each renewal, for what does not look at its files by itself.
    """

    def __init__(
        self, authorities: Sequence[Authority], after: Callable[[], Awaitable[None]]
    ) -> None:
        self._authorities = authorities
        self._after = after
        self._asked = asyncio.Event()
        self.count = 0

    def ask(self) -> None:
        """Let all be renewed now."""
        self._asked.set()

    async def run(self, changed: Callable[[], None]) -> None:
        """Renew until canceled; what fails is tried again.

        The clock is looked at, because a machine may have slept.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._asked.wait()
            if self._asked.is_set() or any(authority.is_due for authority in self._authorities):
                try:
                    await self._renew()
                except (OSError, RuntimeError):  # which Kafka's and PostgreSQL's errors are
                    LOG.exception("certificates were not renewed, or not all know of it")
                    await asyncio.sleep(LOOK_S)
                else:
                    changed()

    async def _renew(self) -> None:
        for authority in self._authorities:
            await asyncio.to_thread(authority.renew)
        await self._after()
        self._asked.clear()
        self.count += 1
