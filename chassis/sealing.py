"""Encryption of secrets at rest: AES-256-GCM under a master key."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Sealer:
    """Seals and opens secrets; each is bound to what it belongs to."""

    def __init__(self, master_key: bytes) -> None:
        self._cipher = AESGCM(master_key)

    @classmethod
    def from_file(cls, key_file: Path) -> Self:
        """Return a sealer whose master key is in a file, 32 bytes in base64."""
        return cls(base64.b64decode(key_file.read_text()))

    def seal(self, plain: bytes, owner: str) -> bytes:
        """Return the sealed secret of an owner, e.g. an id: nonce, ciphertext, tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, owner.encode())

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Return the secret. Raises cryptography's InvalidTag for another owner or another key."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return self._cipher.decrypt(nonce, ciphertext, owner.encode())
