"""The key store: the boundary that no key crosses in the clear. Where keys are kept, it knows not.

What it promises to those who build on it:

- Every answer that has to be read again later names the kid it was made under. Keep both.
- What was made under a kid can be read until that key is destroyed, which only `retire` does.
- A new key is used ACTIVATION after it was made; what was made meanwhile stays with the old one.
- Everything may be called from any thread; calls of one store run one after the other. Open a store
  after a fork, never before. Calls take from a tenth of a millisecond (file) to a few (HSM).
- Any call may raise KeyStoreUnavailable; the next one tries again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.clock import Clock
from chassis.ids import Kid, new_kid
from chassis.keystore.keys import (
    REREAD,
    Handle,
    Held,
    KeyInfo,
    KeyUnknown,
    PointInvalid,
    Purpose,
    SealBroken,
    check_retirable,
    current_key,
    describe,
    next_created,
)

NONCE_BYTES = 12
KEY_BYTES = 32
POINT_BYTES = 65
TAG_BYTES = 16
WRAPPED_BYTES = KEY_BYTES + 8


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a pair. x, y: 32 bytes each, big-endian."""

    kid: Kid
    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was encrypted or wrapped, and the key that opens it."""

    kid: Kid
    data: bytes


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A keyed hash, 32 bytes. Two are of the same card only if they have the same kid, too."""

    kid: Kid
    digest: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """An ECDSA signature on P-256 with SHA-256. data: r and s, 32 bytes each, big-endian."""

    kid: Kid
    data: bytes


class KeyStore(ABC, Generic[Handle]):
    """Keys by purpose, and the one thing that each purpose does with them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[Kid, Held[Handle]] = {}
        self._read_at: datetime | None = None
        self._lock = threading.RLock()

    # The life of keys: for operators and start-up.

    def list_keys(self) -> list[KeyInfo]:
        """Return every key that exists, by purpose, newest first; read anew."""
        with self._lock:
            self._reread()
            return describe(self._held.values(), self._clock.now())

    def rotate(self, purpose: Purpose) -> KeyInfo:
        """Make a key that takes over after ACTIVATION, or at once where it is the first."""
        with self._lock, self._changes():
            self._reread()
            made = self._make(purpose)
            return self._describe(made)

    def create_missing(self, purposes: Iterable[Purpose] = Purpose) -> list[KeyInfo]:
        """Make a first key for each of these that has none, and return what was made."""
        with self._lock, self._changes():
            self._reread()
            there = {key.purpose for key in self._held.values()}
            made = [self._make(purpose) for purpose in purposes if purpose not in there]
            return [self._describe(kid) for kid in made]

    def retire(self, kid: Kid) -> None:
        """Destroy a retiring key: what only it reads is lost for ever.

        The caller has made sure that nothing is left which it reads; for PAN_ENVELOPE that is: no
        row has a data key under this kid. Raises KeyUnknown, and KeyInUse for a key that is not
        retiring for at least RETIRING_MIN.
        """
        with self._lock, self._changes():
            self._reread()
            held = self._held.get(kid)
            if held is None:
                raise KeyUnknown(kid)
            check_retirable(self._held.values(), held, self._clock.now())
            self._destroy(held)
            self._reread()

    def close(self) -> None:
        """Let go of files and sessions."""

    # CARD_ENCRYPTION

    def public_keys(self) -> list[PublicKey]:
        """Return the keys that cards are to be encrypted to: the current one.

        A retiring key is not listed any more and still decrypts. Raises KeyMissing.
        """
        with self._lock:
            held = self._current(Purpose.CARD_ENCRYPTION)
            point = self._public_point(held.handle)
        return [_public(held.kid, point)]

    def agree(self, kid: Kid, point: bytes) -> bytes:
        """Return the ECDH shared secret Z, 32 bytes, of a key and an ephemeral public key.

        point: uncompressed (SEC 1, 2.3.3), 65 bytes. Raises KeyUnknown, PointInvalid.
        """
        with self._lock:
            held = self._find(kid, Purpose.CARD_ENCRYPTION)
            return self._agree(held.handle, _checked(point))

    # TOKEN_ENCRYPTION

    def seal_token(self, plain: bytes, owner: str) -> Sealed:
        """Encrypt under the current key, bound to an owner, e.g. the token's id. Raises KeyMissing.

        The data are a random nonce, the ciphertext and the tag. NIST SP 800-38D allows 2^32 of
        them for one key.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        with self._lock:
            held = self._current(Purpose.TOKEN_ENCRYPTION)
            return Sealed(
                held.kid, nonce + self._encrypt(held.handle, nonce, plain, owner.encode())
            )

    def open_token(self, sealed: Sealed, owner: str) -> bytes:
        """Return what was sealed for this owner. Raises KeyUnknown, SealBroken."""
        if len(sealed.data) < NONCE_BYTES + TAG_BYTES:
            raise SealBroken
        nonce, ciphertext = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        with self._lock:
            held = self._find(sealed.kid, Purpose.TOKEN_ENCRYPTION)
            return self._decrypt(held.handle, nonce, ciphertext, owner.encode())

    # PAN_ENVELOPE

    def wrap_data_key(self, data_key: bytes) -> Sealed:
        """Wrap a data key of 32 random bytes under the current key (RFC 3394). Raises KeyMissing.

        The wrap is not bound to a row: bind what the data key encrypts. To rewrap, unwrap and wrap.
        """
        if len(data_key) != KEY_BYTES:
            raise ValueError("a data key has 32 bytes")
        with self._lock:
            held = self._current(Purpose.PAN_ENVELOPE)
            return Sealed(held.kid, self._wrap(held.handle, data_key))

    def unwrap_data_key(self, wrapped: Sealed) -> bytes:
        """Return the data key. Raises KeyUnknown, SealBroken."""
        if len(wrapped.data) != WRAPPED_BYTES:
            raise SealBroken
        with self._lock:
            held = self._find(wrapped.kid, Purpose.PAN_ENVELOPE)
            return self._unwrap(held.handle, wrapped.data)

    # CARD_FINGERPRINT

    def fingerprint(self, message: bytes) -> Fingerprint:
        """Return the HMAC-SHA256 under the current key. Raises KeyMissing."""
        with self._lock:
            held = self._current(Purpose.CARD_FINGERPRINT)
            return Fingerprint(held.kid, self._mac(held.handle, message))

    def fingerprint_under(self, kid: Kid, message: bytes) -> Fingerprint:
        """Return it under a certain key, to compare with one that was kept. Raises KeyUnknown."""
        with self._lock:
            held = self._find(kid, Purpose.CARD_FINGERPRINT)
            return Fingerprint(kid, self._mac(held.handle, message))

    # AUDIT_SIGNING

    def sign(self, message: bytes) -> Signature:
        """Sign with the current key. Raises KeyMissing."""
        digest = hashlib.sha256(message).digest()
        with self._lock:
            held = self._current(Purpose.AUDIT_SIGNING)
            return Signature(held.kid, self._sign(held.handle, digest))

    def verification_keys(self) -> list[PublicKey]:
        """Return the public halves of all keys that sign, will sign or have signed; read anew."""
        with self._lock:
            self._reread()
            signing = [key for key in self._held.values() if key.purpose is Purpose.AUDIT_SIGNING]
            return [_public(key.kid, self._public_point(key.handle)) for key in signing]

    # What is common to all stores.

    def _find(self, kid: Kid, purpose: Purpose) -> Held[Handle]:
        self._reread_if_old()
        held = self._held.get(kid)
        if held is None or held.purpose is not purpose:
            raise KeyUnknown(kid)
        return held

    def _current(self, purpose: Purpose) -> Held[Handle]:
        self._reread_if_old()
        return current_key(self._held.values(), purpose, self._clock.now())

    def _reread_if_old(self) -> None:
        if self._read_at is None or abs(self._clock.now() - self._read_at) >= REREAD:
            self._reread()

    def _reread(self) -> None:
        self._held = {key.kid: key for key in self._read()}
        self._read_at = self._clock.now()

    def _make(self, purpose: Purpose) -> Kid:
        kid = new_kid()
        created = next_created(self._held.values(), purpose, self._clock.now())
        self._create(kid, purpose, created)
        self._reread()
        return kid

    def _describe(self, kid: Kid) -> KeyInfo:
        found = describe(self._held.values(), self._clock.now())
        return next(info for info in found if info.kid == kid)

    # What each store does its own way, always under the lock.

    @abstractmethod
    def _changes(self) -> AbstractContextManager[None]:
        """Keep every other process from changing keys, as far as the store can."""

    @abstractmethod
    def _read(self) -> list[Held[Handle]]: ...

    @abstractmethod
    def _create(self, kid: Kid, purpose: Purpose, created: datetime) -> None: ...

    @abstractmethod
    def _destroy(self, held: Held[Handle]) -> None: ...

    @abstractmethod
    def _public_point(self, handle: Handle) -> bytes: ...

    @abstractmethod
    def _agree(self, handle: Handle, peer: ec.EllipticCurvePublicKey) -> bytes: ...

    @abstractmethod
    def _encrypt(self, handle: Handle, nonce: bytes, plain: bytes, bound: bytes) -> bytes: ...

    @abstractmethod
    def _decrypt(self, handle: Handle, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes: ...

    @abstractmethod
    def _wrap(self, handle: Handle, data_key: bytes) -> bytes: ...

    @abstractmethod
    def _unwrap(self, handle: Handle, wrapped: bytes) -> bytes: ...

    @abstractmethod
    def _mac(self, handle: Handle, message: bytes) -> bytes: ...

    @abstractmethod
    def _sign(self, handle: Handle, digest: bytes) -> bytes: ...


def uncompressed(public: ec.EllipticCurvePublicKey) -> bytes:
    """Return the point of a public key, 65 bytes."""
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _public(kid: Kid, point: bytes) -> PublicKey:
    return PublicKey(kid, point[1:33], point[33:])


def _checked(point: bytes) -> ec.EllipticCurvePublicKey:
    """Return a point that is on the curve: one that isn't would give away the private key."""
    if len(point) != POINT_BYTES:
        raise PointInvalid
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise PointInvalid from None
