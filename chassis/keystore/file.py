"""A key store in one encrypted file, for where there is no HSM.

The file holds all keys as one sealed JSON text, so that none can be added, changed or swapped
without the master key. It is replaced as a whole, under a lock that processes share.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from chassis.clock import Clock
from chassis.ids import Kid
from chassis.keystore.keys import (
    PAIRS,
    Held,
    KeyStoreRefused,
    KeyStoreUnavailable,
    Purpose,
    SealBroken,
)
from chassis.keystore.store import KEY_BYTES, KeyStore, uncompressed
from chassis.sealing import Sealer

SEALED_FOR = "paymesh key store"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

FileKey = ec.EllipticCurvePrivateKey | bytes


class _Entry(TypedDict):
    kid: str
    purpose: str
    created_ms: int
    secret: str  # base64, 32 bytes


class FileKeyStore(KeyStore[FileKey]):
    """Keys in a file of mode 0600, beside a lock file named `….lock`."""

    def __init__(self, path: Path, master_key: bytes, clock: Clock) -> None:
        """Read the file if there is one. Raises KeyStoreRefused, KeyStoreUnavailable."""
        super().__init__(clock)
        self._path = path
        self._sealer = Sealer(master_key)
        self._reread()

    @contextmanager
    def _changes(self) -> Iterator[None]:
        lock_file = self._path.with_name(f"{self._path.name}.lock")
        with _translated(), os.fdopen(os.open(lock_file, os.O_CREAT | os.O_RDWR, 0o600)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> list[Held[FileKey]]:
        return [
            Held(
                Kid(entry["kid"]),
                Purpose(entry["purpose"]),
                EPOCH + timedelta(milliseconds=entry["created_ms"]),
                _key(Purpose(entry["purpose"]), base64.b64decode(entry["secret"])),
            )
            for entry in self._entries()
        ]

    def _create(self, kid: Kid, purpose: Purpose, created: datetime) -> None:
        entry = _Entry(
            kid=kid,
            purpose=purpose.value,
            created_ms=(created - EPOCH) // timedelta(milliseconds=1),
            secret=base64.b64encode(_new_secret(purpose)).decode(),
        )
        self._replace([*self._entries(), entry])

    def _destroy(self, held: Held[FileKey]) -> None:
        self._replace([entry for entry in self._entries() if entry["kid"] != held.kid])

    def _entries(self) -> list[_Entry]:
        with _translated():
            try:
                sealed = self._path.read_bytes()
            except FileNotFoundError:
                return []
        try:
            plain = self._sealer.open(sealed, SEALED_FOR)
        except (InvalidTag, ValueError):
            raise KeyStoreRefused(
                f"{self._path}: the master key is wrong or the file was changed"
            ) from None
        entries: list[_Entry] = json.loads(plain)
        return entries

    def _replace(self, entries: list[_Entry]) -> None:
        sealed = self._sealer.seal(json.dumps(entries).encode(), SEALED_FOR)
        fresh = self._path.with_name(f"{self._path.name}.new")
        with _translated():
            # What a process left here that died while it held the lock.
            with suppress(FileNotFoundError):
                fresh.unlink()
            opened = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _public_point(self, handle: FileKey) -> bytes:
        return uncompressed(_pair(handle).public_key())

    def _agree(self, handle: FileKey, peer: ec.EllipticCurvePublicKey) -> bytes:
        return _pair(handle).exchange(ec.ECDH(), peer)

    def _encrypt(self, handle: FileKey, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        return AESGCM(_secret(handle)).encrypt(nonce, plain, bound)

    def _decrypt(self, handle: FileKey, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        try:
            return AESGCM(_secret(handle)).decrypt(nonce, ciphertext, bound)
        except InvalidTag:
            raise SealBroken from None

    def _wrap(self, handle: FileKey, data_key: bytes) -> bytes:
        return aes_key_wrap(_secret(handle), data_key)

    def _unwrap(self, handle: FileKey, wrapped: bytes) -> bytes:
        try:
            return aes_key_unwrap(_secret(handle), wrapped)
        except InvalidUnwrap:
            raise SealBroken from None

    def _mac(self, handle: FileKey, message: bytes) -> bytes:
        mac = hmac.HMAC(_secret(handle), hashes.SHA256())
        mac.update(message)
        return mac.finalize()

    def _sign(self, handle: FileKey, digest: bytes) -> bytes:
        der = _pair(handle).sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        return b"".join(number.to_bytes(KEY_BYTES) for number in decode_dss_signature(der))


# The purpose of a key says which of the two its handle is.
def _pair(handle: FileKey) -> ec.EllipticCurvePrivateKey:
    return cast("ec.EllipticCurvePrivateKey", handle)


def _secret(handle: FileKey) -> bytes:
    return cast("bytes", handle)


def _key(purpose: Purpose, secret: bytes) -> FileKey:
    if purpose in PAIRS:
        return ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
    return secret


def _new_secret(purpose: Purpose) -> bytes:
    if purpose in PAIRS:
        private = ec.generate_private_key(ec.SECP256R1())
        return private.private_numbers().private_value.to_bytes(KEY_BYTES)
    return secrets.token_bytes(KEY_BYTES)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the file system says into KeyStoreUnavailable."""
    try:
        yield
    except OSError as refused:
        raise KeyStoreUnavailable from refused
