"""Where a sandbox keeps everything it writes: one folder, with its ports and keys."""

from __future__ import annotations

import base64
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
    "connect_metrics",
    "edge",
    "edge_admin",
    "edge_metrics",
    "authz_http",
    "web_http",
    "collector",
    *(
        f"{name}{kind}"
        for name in ("authz", "web", "intent", "txn", "recon", "webhook", "audit")
        for kind in ("", "_metrics")
    ),
    *(
        f"{name}{kind}"
        for name in ("visa_sim", "mastercard_sim")
        for kind in ("", "_admin", "_proxy", "_proxy_admin")
    ),
)
FORMAT = 3  # grows with what a folder holds, where no migration tells of it
DATABASES = {  # service, which is its role and the CN of its certificate → database
    "authz": "edge",
    "intent": "intent",
    "txn": "txn",
    "recon": "recon",
    "webhook": "webhook",
}
KEY_STORES = ("cards", "audit")  # of txn_svc and of audit_svc, neither of whom sees the other's
# Who purges, role → service. A payment goes before its transactions do.
PURGERS = {f"{service}_retention": service for service in ("intent", "txn", "recon", "webhook")}
OWNERS = tuple(f"{service}_owner" for service in DATABASES)


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
    def networks(self) -> Path:
        """The simulated card networks' books."""
        return self.path / "networks"

    def network_tls(self, name: str) -> Path:
        """Certificates and keys of the links to a card network."""
        return self.networks / f"{name}-tls"

    @property
    def clearing_inbox(self) -> Path:
        """Where the card networks leave their clearing files."""
        return self.path / "clearing" / "inbox"

    @property
    def archive(self) -> Path:
        """The archive of the audit trail."""
        return self.path / "archive"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data, and its backups."""
        return self.path / "postgres"

    @property
    def postgres_programs(self) -> Path:
        """PostgreSQL's programs."""
        return self.path / "postgres-programs"

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
        """Return whether the data are of this version of tables and users; a new folder becomes so.

        Nothing has shipped, so a migration may change, and data of another version are of no use.
        """
        file = self.path / "version"
        if not self.postgres.exists():
            file.write_text(_version())
        return file.exists() and file.read_text() == _version()

    def key_store(self, name: str) -> dict[str, str]:
        """Return the variables that name a key store; its master key is made once.

        name: one of KEY_STORES. See chassis/keystore/config.py.
        """
        folder = self.path / "keys"
        folder.mkdir(mode=0o700, exist_ok=True)
        master = folder / f"{name}-master.key"
        if not master.exists():
            master.touch(mode=0o600)
            master.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        return {
            "PAYMESH_KEYS_STORE": "file",
            "PAYMESH_KEYS_FILE": str(folder / name),
            "PAYMESH_KEYS_MASTER_FILE": str(master),
        }


def _version() -> str:
    digest = hashlib.sha256(repr((FORMAT, DATABASES)).encode())
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
