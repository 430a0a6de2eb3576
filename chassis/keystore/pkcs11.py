"""A key store in an HSM, through PKCS#11: keys are made inside the token and never leave it.

A key is found by its label, "paymesh PURPOSE MILLISECONDS", and has its kid as CKA_ID; what else is
in the token is left alone. Nothing of a key ever changes, so processes need no lock: two that make
a key at once make two, of which every process takes the newer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from chassis.clock import Clock
from chassis.ids import Kid, is_kid
from chassis.keystore.keys import (
    Held,
    KeyStoreRefused,
    KeyStoreUnavailable,
    Purpose,
    SealBroken,
)
from chassis.keystore.store import KEY_BYTES, POINT_BYTES, TAG_BYTES, KeyStore, uncompressed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABEL = re.compile(rf"paymesh ({'|'.join(Purpose)}) ([0-9]{{1,15}})")
P256 = encode_named_curve_parameters("secp256r1")
KEY_BITS = KEY_BYTES * 8

KEPT_INSIDE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
# Results that the caller gets: objects of the session only, destroyed once they are read.
HANDED_OUT = {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}

SECRETS: dict[Purpose, tuple[KeyType, Mechanism, MechanismFlag]] = {
    Purpose.TOKEN_ENCRYPTION: (
        KeyType.AES,
        Mechanism.AES_KEY_GEN,
        MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
    ),
    Purpose.PAN_ENVELOPE: (
        KeyType.AES,
        Mechanism.AES_KEY_GEN,
        MechanismFlag.WRAP | MechanismFlag.UNWRAP,
    ),
    Purpose.CARD_FINGERPRINT: (
        KeyType.GENERIC_SECRET,
        Mechanism.GENERIC_SECRET_KEY_GEN,
        MechanismFlag.SIGN,
    ),
}
PAIR_CAPABILITIES = {
    Purpose.CARD_ENCRYPTION: MechanismFlag.DERIVE,
    Purpose.AUDIT_SIGNING: MechanismFlag.SIGN | MechanismFlag.VERIFY,
}
PIN_ERRORS = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A handle to a key in the token, good as long as the session. point: of a pair, else empty."""

    key: Any
    point: bytes = b""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an HSM. library: the HSM's PKCS#11 module."""

    library: Path
    label: str
    pin: str = field(repr=False)


class Pkcs11KeyStore(KeyStore[TokenKey]):
    """Keys in a token, over one session, which is opened again after any failure."""

    def __init__(self, token: Token, clock: Clock) -> None:
        """Log in. Raises KeyStoreRefused, KeyStoreUnavailable."""
        super().__init__(clock)
        self._token = token
        self._session: pkcs11.Session | None = None
        self._is_pin_refused = False
        self._reread()

    def close(self) -> None:
        """End the session."""
        with self._lock:
            self._forget_session()

    def _changes(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _read(self) -> list[Held[TokenKey]]:
        # The session may have ended since, or another process be making or destroying a key right
        # now; to look again harms nothing.
        with suppress(KeyStoreUnavailable):
            return self._call(lambda session: list(_read_keys(session)))
        return self._call(lambda session: list(_read_keys(session)))

    def _create(self, kid: Kid, purpose: Purpose, created: datetime) -> None:
        label = f"paymesh {purpose} {(created - EPOCH) // timedelta(milliseconds=1)}"
        if purpose in PAIR_CAPABILITIES:
            pair = PAIR_CAPABILITIES[purpose]
            self._call(lambda session: _create_pair(session, kid, label, pair))
            return
        key_type, mechanism, capabilities = SECRETS[purpose]
        self._call(
            lambda session: session.generate_key(
                key_type,
                KEY_BITS,
                id=kid.encode(),
                label=label,
                store=True,
                capabilities=capabilities,
                mechanism=mechanism,
                template=KEPT_INSIDE,
            )
        )

    def _destroy(self, held: Held[TokenKey]) -> None:
        def destroy(session: pkcs11.Session) -> None:
            for one in list(session.get_objects({Attribute.ID: held.kid.encode()})):
                one.destroy()

        self._call(destroy)

    def _public_point(self, handle: TokenKey) -> bytes:
        return handle.point

    def _agree(self, handle: TokenKey, peer: ec.EllipticCurvePublicKey) -> bytes:
        return self._call(
            lambda _: _take(
                handle.key.derive_key(
                    KeyType.GENERIC_SECRET,
                    KEY_BITS,
                    mechanism=Mechanism.ECDH1_DERIVE,
                    mechanism_param=(pkcs11.KDF.NULL, None, uncompressed(peer)),
                    template=HANDED_OUT,
                )
            )
        )

    def _encrypt(self, handle: TokenKey, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        gcm = pkcs11.GCMParams(nonce, bound, TAG_BYTES * 8)
        return self._call(
            lambda _: bytes(
                handle.key.encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=gcm)
            )
        )

    def _decrypt(self, handle: TokenKey, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        gcm = pkcs11.GCMParams(nonce, bound, TAG_BYTES * 8)
        return self._open(
            lambda: bytes(
                handle.key.decrypt(ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=gcm)
            )
        )

    def _wrap(self, handle: TokenKey, data_key: bytes) -> bytes:
        def wrap(session: pkcs11.Session) -> bytes:
            inside = session.create_object(
                {
                    **HANDED_OUT,
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.AES,
                    Attribute.VALUE: data_key,
                }
            )
            try:
                return bytes(handle.key.wrap_key(inside, mechanism=Mechanism.AES_KEY_WRAP))
            finally:
                inside.destroy()

        return self._call(wrap)

    def _unwrap(self, handle: TokenKey, wrapped: bytes) -> bytes:
        return self._open(
            lambda: _take(
                handle.key.unwrap_key(
                    ObjectClass.SECRET_KEY,
                    KeyType.AES,
                    wrapped,
                    mechanism=Mechanism.AES_KEY_WRAP,
                    template=HANDED_OUT,
                )
            )
        )

    def _mac(self, handle: TokenKey, message: bytes) -> bytes:
        return self._call(
            lambda _: bytes(handle.key.sign(message, mechanism=Mechanism.SHA256_HMAC))
        )

    def _sign(self, handle: TokenKey, digest: bytes) -> bytes:
        return self._call(lambda _: bytes(handle.key.sign(digest, mechanism=Mechanism.ECDSA)))

    def _open(self, decrypt: Callable[[], bytes]) -> bytes:
        """Decrypt or unwrap; raise SealBroken if the token refuses although it is well.

        SoftHSM says CKR_GENERAL_ERROR of a wrong tag, which could be anything.
        """

        def attempt(session: pkcs11.Session) -> bytes | None:
            try:
                return decrypt()
            except (pkcs11.EncryptedDataInvalid, pkcs11.WrappedKeyInvalid, pkcs11.GeneralError):
                session.generate_random(8)
                return None

        opened = self._call(attempt)
        if opened is None:
            raise SealBroken
        return opened

    def _call(self, call: Callable[[pkcs11.Session], Result]) -> Result:
        """Call the token; after any failure the session and its handles are given up."""
        try:
            if self._session is None:
                self._session = self._log_in()
            return call(self._session)
        except pkcs11.PKCS11Error as failed:
            self._forget_session()
            raise KeyStoreUnavailable from failed

    def _log_in(self) -> pkcs11.Session:
        # Trying a wrong PIN again locks the token.
        if self._is_pin_refused:
            raise KeyStoreRefused("the token refused the PIN before")
        found = pkcs11.lib(str(self._token.library)).get_token(token_label=self._token.label)
        try:
            return found.open(rw=True, user_pin=self._token.pin)
        except pkcs11.UserAlreadyLoggedIn:
            # By another store of this process: the login is the process's, not the session's.
            return found.open(rw=True)
        except PIN_ERRORS as refused:
            self._is_pin_refused = True
            raise KeyStoreRefused(f"the token {self._token.label!r} refuses the PIN") from refused

    def _forget_session(self) -> None:
        session, self._session = self._session, None
        self._held, self._read_at = {}, None
        if session is not None:
            # It may be gone already.
            with suppress(pkcs11.PKCS11Error):
                session.close()


def _read_keys(session: pkcs11.Session) -> Iterator[Held[TokenKey]]:
    points = {
        public.id: public[Attribute.EC_POINT][-POINT_BYTES:]
        for public, _ in _ours(session, ObjectClass.PUBLIC_KEY)
    }
    for of_class in (ObjectClass.PRIVATE_KEY, ObjectClass.SECRET_KEY):
        for key, label in _ours(session, of_class):
            yield Held(
                Kid(key.id.decode()),
                Purpose(label[1]),
                EPOCH + timedelta(milliseconds=int(label[2])),
                TokenKey(key, points.get(key.id, b"")),
            )


def _ours(session: pkcs11.Session, of_class: ObjectClass) -> Iterator[tuple[Any, re.Match[str]]]:
    found: Iterator[Any] = session.get_objects({Attribute.CLASS: of_class, Attribute.TOKEN: True})
    for key in list(found):
        label = LABEL.fullmatch(key.label)
        if label is not None and is_kid(key.id.decode("latin-1")):
            yield key, label


def _create_pair(
    session: pkcs11.Session, kid: Kid, label: str, capabilities: MechanismFlag
) -> None:
    curve: Any = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: P256}, local=True
    )
    curve.generate_keypair(
        id=kid.encode(),
        label=label,
        store=True,
        capabilities=capabilities,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        private_template=KEPT_INSIDE,
    )


def _take(result: Any) -> bytes:
    try:
        return bytes(result[Attribute.VALUE])
    finally:
        result.destroy()
