"""Compact JWE (RFC 7516) of one kind: ECDH-ES on P-256 with A256GCM. Knows nothing of cards.

What the header may say is decided before any key is used. It says exactly four things, so that all
that JOSE offers to get wrong (other algorithms, keys in headers, compression, extensions) is an
unknown name here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from chassis.ids import Kid, is_kid
from chassis.keystore.keys import PointInvalid
from chassis.keystore.store import KeyStore
from txn_svc.cards.strict import NotStrict, decode_base64url, parse_object

ALG, ENC, KTY, CRV = "ECDH-ES", "A256GCM", "EC", "P-256"
CHARS_MAX = 2048  # an encrypted card has about 600
COORDINATE_BYTES, IV_BYTES, TAG_BYTES = 32, 12, 16
KEY_BITS = 256
# Header, no encrypted key (the agreed key is used directly), nonce, ciphertext, tag.
_COMPACT = re.compile(r"([\w-]+)\.\.([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)


class JweInvalid(Exception):
    """Not such a JWE; the text says which rule it breaks and never what stands in it."""


@dataclass(frozen=True, slots=True)
class Jwe:
    """A JWE whose form is right; whether it decrypts is not known yet.

    protected: the header as it came, which the tag covers. point: the ephemeral public key,
    uncompressed, not yet known to be on the curve.
    """

    protected: bytes
    kid: Kid
    point: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes


def parse_jwe(text: str) -> Jwe:
    """Read a compact JWE. Raises JweInvalid."""
    if len(text) > CHARS_MAX:
        raise JweInvalid(f"it is longer than {CHARS_MAX} characters")
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        raise JweInvalid("it must be a compact JWE of five parts, the second empty")
    protected, *rest = parts.groups()
    try:
        header = parse_object(decode_base64url(protected))
        iv, ciphertext, tag = (decode_base64url(part) for part in rest)
    except NotStrict:
        raise JweInvalid("its parts must be base64url and its header a JSON object") from None
    if len(iv) != IV_BYTES or len(tag) != TAG_BYTES:
        raise JweInvalid("the nonce must have 12 bytes and the tag 16")
    kid, point = _check_header(header)
    return Jwe(protected.encode(), kid, point, iv, ciphertext, tag)


def decrypt_jwe(jwe: Jwe, keys: KeyStore[Any]) -> bytes:
    """Return what was encrypted. Raises JweInvalid, KeyUnknown, KeyStoreUnavailable."""
    try:
        agreed = keys.agree(jwe.kid, jwe.point)
    except PointInvalid:
        raise JweInvalid("epk must be a point on P-256") from None
    content_key = derive_key(agreed, ENC, KEY_BITS)
    try:
        return AESGCM(content_key).decrypt(jwe.iv, jwe.ciphertext + jwe.tag, jwe.protected)
    except InvalidTag:
        raise JweInvalid("it was changed or is for another key") from None


def derive_key(
    agreed: bytes, algorithm: str, key_bits: int, party_u: bytes = b"", party_v: bytes = b""
) -> bytes:
    """Return the key of ECDH-ES (RFC 7518, section 4.6.2): one round of the Concat KDF.

    agreed: Z, the shared secret. algorithm: the `enc` value, since the key is used directly.
    """
    other_info = (
        _with_length(algorithm.encode())
        + _with_length(party_u)
        + _with_length(party_v)
        + key_bits.to_bytes(4)
    )
    return ConcatKDFHash(hashes.SHA256(), key_bits // 8, other_info).derive(agreed)


def _with_length(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def _check_header(header: dict[str, object]) -> tuple[Kid, bytes]:
    if header.keys() != {"alg", "enc", "kid", "epk"}:
        raise JweInvalid("its header must have alg, enc, kid and epk, and nothing else")
    if header["alg"] != ALG or header["enc"] != ENC:
        raise JweInvalid(f"alg must be {ALG} and enc {ENC}")
    kid, epk = header["kid"], header["epk"]
    if not isinstance(kid, str) or not is_kid(kid):
        raise JweInvalid("kid must be that of a card encryption key")
    if not isinstance(epk, dict) or epk.keys() != {"kty", "crv", "x", "y"}:
        raise JweInvalid("epk must have kty, crv, x and y, and nothing else")
    if epk["kty"] != KTY or epk["crv"] != CRV:
        raise JweInvalid(f"epk must have kty {KTY} and crv {CRV}")
    return Kid(kid), b"\x04" + _coordinate(epk["x"]) + _coordinate(epk["y"])


def _coordinate(value: object) -> bytes:
    """Return a coordinate, which has all its bytes (RFC 7518, section 6.2.1.2)."""
    try:
        coordinate = decode_base64url(value) if isinstance(value, str) else b""
    except NotStrict:
        coordinate = b""
    if len(coordinate) != COORDINATE_BYTES:
        raise JweInvalid("x and y of epk must be 32 bytes in base64url")
    return coordinate
