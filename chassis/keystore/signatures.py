"""Checks what a key store has signed; needs the public halves alone, so anybody can do it."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from chassis.ids import Kid
from chassis.keystore.store import KEY_BYTES, PublicKey, Signature


def is_signed(message: bytes, signature: Signature, keys: Mapping[Kid, PublicKey]) -> bool:
    """Return whether one of these keys, the one that the signature names, signed the message."""
    key = keys.get(signature.kid)
    if key is None or len(signature.data) != 2 * KEY_BYTES:
        return False
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(key.x), int.from_bytes(key.y), ec.SECP256R1()
    )
    r, s = signature.data[:KEY_BYTES], signature.data[KEY_BYTES:]
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    try:
        numbers.public_key().verify(der, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
