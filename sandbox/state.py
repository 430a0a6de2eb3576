"""Where a sandbox keeps everything it writes: one folder, with its ports and passwords."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UNPRIVILEGED = 65534  # nobody, whose number is the same everywhere

PORTS = (
    "postgres",
    "kafka",
    "kafka_controller",
    "connect",
    "edge",
    "edge_admin",
    "authz_http",
    "collector",
    *(
        f"{name}{kind}"
        for name in ("authz", "intent", "txn", "recon", "webhook")
        for kind in ("", "_metrics")
    ),
    *(
        f"{name}{kind}"
        for name in ("visa_sim", "mastercard_sim")
        for kind in ("", "_admin", "_proxy", "_proxy_admin")
    ),
)
ROLES = ("postgres", "edge", "intent", "txn", "recon", "webhook", "debezium")


@dataclass(frozen=True, slots=True)
class StateDir:
    """The folder of one sandbox."""

    path: Path

    @property
    def status_file(self) -> Path:
        """What runs, as the supervisor last saw it."""
        return self.path / "status.json"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.path / "logs"

    @property
    def tls(self) -> Path:
        """Certificates and keys."""
        return self.path / "tls"

    @property
    def clearing_inbox(self) -> Path:
        """Where the card networks leave their clearing files."""
        return self.path / "clearing" / "inbox"

    def status(self) -> dict[str, Any] | None:
        """Return what the supervisor last wrote, or None before it wrote anything."""
        try:
            status: dict[str, Any] = json.loads(self.status_file.read_text())
        except FileNotFoundError:
            return None
        return status

    def write_status(self, status: dict[str, Any]) -> None:
        """Replace the status at once."""
        fresh = self.status_file.with_suffix(".new")
        fresh.write_text(json.dumps(status, indent=1))
        fresh.replace(self.status_file)

    def ports(self) -> dict[str, int]:
        """Return the sandbox's ports: those of the last run while they are free."""
        file = self.path / "ports.json"
        known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        ports = {name: known.get(name, 0) for name in PORTS}
        taken = {port for port in ports.values() if port and _is_free(port)}
        for name, port in ports.items():
            if port not in taken:
                ports[name] = _free_port(taken)
                taken.add(ports[name])
        file.write_text(json.dumps(ports, indent=1))
        return ports

    def is_of_this_version(self) -> bool:
        """Return whether the data here are of this version of the tables; a new folder becomes so.

        Nothing has shipped, so a migration may change, and data of another version are of no use.
        """
        file = self.path / "version"
        if not (self.path / "postgres").exists():
            file.write_text(_version())
        return file.exists() and file.read_text() == _version()

    def passwords(self) -> dict[str, str]:
        """Return the database passwords by role, made once."""
        file = self.path / "passwords.json"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(json.dumps({role: secrets.token_hex(16) for role in ROLES}))
        passwords: dict[str, str] = json.loads(file.read_text())
        return passwords


def _version() -> str:
    digest = hashlib.sha256(repr(ROLES).encode())
    for migration in sorted(ROOT.glob("**/migrations/versions/*.py")):
        if ".venv" not in migration.parts:
            digest.update(migration.read_bytes())
    return digest.hexdigest()


def default_state_dir() -> Path:
    """Return `.sandbox` in the clone, or a folder of its own where PostgreSQL may not enter that.

    PostgreSQL refuses to run as root, so for root it runs as a user who must be let in.
    """
    if os.geteuid() != 0 or can_enter(ROOT, UNPRIVILEGED):
        return ROOT / ".sandbox"
    digest = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    return Path("/var/tmp") / f"paymesh-{digest}"  # noqa: S108 a fixed place survives a reboot


def can_enter(path: Path, uid: int) -> bool:
    """Return whether a user without groups may reach what is in this folder."""
    for folder in (path, *path.parents):
        mode = folder.stat()
        needed = 0o100 if mode.st_uid == uid else 0o001
        if not mode.st_mode & needed:
            return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port(taken: set[int]) -> int:
    """Return a port below the range from which the kernel gives ports to outgoing connections."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        if port not in taken and _is_free(port):
            return port
