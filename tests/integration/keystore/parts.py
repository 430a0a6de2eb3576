"""Key stores of both kinds on real ground: a file in a fresh folder, a SoftHSM token of its own."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from chassis.keystore.keys import ACTIVATION, RETIRING_MIN, Purpose
from chassis.keystore.pkcs11 import Token
from chassis.keystore.store import KeyStore
from sandbox.state import ROOT
from tests.fakes import FakeClock

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
LABEL, PIN = "paymesh-test", "271828"

# What another process does, on the store that its environment names.
ROTATOR = """
import sys
from chassis.clock import SystemClock
from chassis.keystore.config import open_key_store
from chassis.keystore.keys import Purpose
store = open_key_store(SystemClock())
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    print(store.rotate(Purpose.TOKEN_ENCRYPTION).kid)
"""


@dataclass
class Ground(ABC):
    """Where the stores of one test keep their keys; each open() is like another process."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the variables that name this store."""

    def open(self, monkeypatch: pytest.MonkeyPatch) -> KeyStore[Any]:
        """Open the store as the environment says."""
        from chassis.keystore.config import open_key_store  # reads the environment when called

        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)
        return open_key_store(self.clock)

    def rotate_in_processes(self, processes: int, rotations: int) -> list[str]:
        """Rotate from several processes at once and return the kids of all."""
        running = [
            subprocess.Popen(
                [sys.executable, "-c", ROTATOR, str(rotations)],
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment()},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        for process in running:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        kids = []
        for process in running:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0
            kids += said.split()
        return kids


class FileGround(Ground):
    """An encrypted file, and its master key in another."""

    @property
    def file(self) -> Path:
        """The key store's file."""
        return self.folder / "keys"

    def environment(self) -> dict[str, str]:
        """Return the variables that name this store."""
        master = self.folder / "master.key"
        if not master.exists():
            master.write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        return {
            "PAYMESH_KEYS_STORE": "file",
            "PAYMESH_KEYS_FILE": str(self.file),
            "PAYMESH_KEYS_MASTER_FILE": str(master),
        }


class SoftHsmGround(Ground):
    """A SoftHSM token in a folder of its own."""

    def environment(self) -> dict[str, str]:
        """Return the variables that name this store."""
        return {
            "PAYMESH_KEYS_STORE": "pkcs11",
            "PAYMESH_KEYS_LIBRARY": softhsm(),
            "PAYMESH_KEYS_TOKEN": LABEL,
            "PAYMESH_KEYS_PIN": PIN,
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
        }

    @property
    def token(self) -> Token:
        """The token, as a store gets it."""
        return Token(Path(softhsm()), LABEL, PIN)

    @contextmanager
    def session(self) -> Iterator[pkcs11.Session]:
        """Open a session beside those of the stores, which have logged in."""
        session = pkcs11.lib(softhsm()).get_token(token_label=LABEL).open(rw=True)
        yield session
        session.close()


def softhsm() -> str:
    """Return where SoftHSM is; skip the test where it isn't, which fails in CI."""
    for library in LIBRARIES:
        if Path(library).exists():
            return library
    reason = "libsofthsm2.so is not installed (Debian's package softhsm2)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def a_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsmGround:
    """Return a fresh token and let this process know no other."""
    library = softhsm()
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\n"
        "objectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    subprocess.run(
        [
            *("softhsm2-util", "--init-token", "--free"),
            *("--label", LABEL, "--so-pin", PIN, "--pin", PIN),
        ],
        check=True,
        capture_output=True,
    )
    pkcs11.lib(library).reinitialize()
    return SoftHsmGround(folder)


def rotate_fully(store: KeyStore[Any], clock: FakeClock, purpose: Purpose) -> None:
    """Rotate, and let time pass until the new key is the current one."""
    store.rotate(purpose)
    clock.move(ACTIVATION.total_seconds())


def wait_until_retirable(clock: FakeClock) -> None:
    """Let time pass until a key that is retiring now may be destroyed."""
    clock.move(RETIRING_MIN.total_seconds())
