"""JWEs as a browser makes them, and as an attacker would: every part can be given."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.keystore.store import PublicKey

P256 = ec.SECP256R1()


def b64u(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk_of(public: PublicKey) -> dict[str, str | list[str]]:
    """Return a public key as RFC 7517 has it."""
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64u(public.x),
        "y": b64u(public.y),
        "kid": public.kid,
    }


@dataclass
class Sender:
    """Encrypts to a public key like the WebCrypto code of a browser, step by step."""

    public: PublicKey
    ephemeral: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(P256)
    )

    def header(self) -> dict[str, Any]:
        """Return the header that is right."""
        numbers = self.ephemeral.public_key().public_numbers()
        return {
            "alg": "ECDH-ES",
            "enc": "A256GCM",
            "kid": self.public.kid,
            "epk": {
                "kty": "EC",
                "crv": "P-256",
                "x": b64u(numbers.x.to_bytes(32)),
                "y": b64u(numbers.y.to_bytes(32)),
            },
        }

    def encrypt(self, plain: bytes, header: str | dict[str, Any] | None = None) -> list[str]:
        """Return the five parts under a header that may say anything; all else is right."""
        if not isinstance(header, str):
            header = json.dumps(self.header() if header is None else header)
        protected = b64u(header.encode())
        iv = secrets.token_bytes(12)
        sealed = AESGCM(self._content_key()).encrypt(iv, plain, protected.encode())
        return [protected, "", b64u(iv), b64u(sealed[:-16]), b64u(sealed[-16:])]

    def _content_key(self) -> bytes:
        public = ec.EllipticCurvePublicNumbers(
            int.from_bytes(self.public.x), int.from_bytes(self.public.y), P256
        )
        agreed = self.ephemeral.exchange(ec.ECDH(), public.public_key())
        digest = hashes.Hash(hashes.SHA256())
        digest.update(bytes([0, 0, 0, 1]) + agreed)
        digest.update(bytes([0, 0, 0, 7]) + b"A256GCM" + bytes(8) + bytes([0, 0, 1, 0]))
        return digest.finalize()
