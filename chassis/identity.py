"""Who calls: mutual TLS between services, and the merchant's identity as a token of the edge."""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.config import ServiceSettings
from chassis.errors import CallerNotAllowed, Unauthenticated
from chassis.ids import MerchantId

ISSUER = "paymesh-edge"
AUDIENCE = "paymesh"
TOKEN_LIFETIME_S = 60
SPIFFE_PREFIX = "spiffe://paymesh/"

Mode = Literal["test", "live"]
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """The merchant on whose behalf a request runs, and the mode of the key that signed it."""

    merchant_id: MerchantId
    mode: Mode
    request_id: str


_caller_var: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """Return the merchant of the running request. Only in services that merchants call."""
    return _caller_var.get()


def set_caller(caller: Caller) -> None:
    """Make the merchant known to everything that runs for this request."""
    _caller_var.set(caller)


class TokenMinter:
    """Makes the tokens by which the edge tells services who calls."""

    def __init__(self, key: Ed25519PrivateKey, key_id: str) -> None:
        self._key = key
        self._headers = {"kid": key_id}

    def mint(self, merchant_id: str, mode: str, request_id: str) -> str:
        """Return a token for one request, good for a minute."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "mer": merchant_id,
            "mode": mode,
            "rid": request_id,
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers=self._headers)


class TokenVerifier:
    """Checks the edge's tokens against its public keys, which are read again when they change."""

    def __init__(self, jwks_file: Path) -> None:
        self._jwks_file = jwks_file
        self._keys: dict[str, Any] = {}
        self._keys_by_header: dict[str, Any] = {}
        self._read_at: float = -1.0

    def verify(self, token: str) -> Caller:
        """Return who calls.

        Raises Unauthenticated for a token that is forged, expired or meant for others.
        """
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "aud", "iss", "mer", "mode", "rid"]},
            )
        except jwt.InvalidTokenError as refused:
            raise Unauthenticated("The caller's token is not valid.") from refused
        return Caller(MerchantId(claims["mer"]), claims["mode"], claims["rid"])

    def _key(self, token: str) -> Any:
        """Return the key that the token names; all tokens of a key have one header."""
        header = token.partition(".")[0]
        key = self._keys_by_header.get(header)
        if key is None:
            key_id = jwt.get_unverified_header(token).get("kid", "")
            if key_id not in self._keys:
                self._read()
            if key_id not in self._keys:
                raise jwt.InvalidKeyError(key_id)
            key = self._keys_by_header[header] = self._keys[key_id]
        return key

    def _read(self) -> None:
        changed_at = self._jwks_file.stat().st_mtime
        if changed_at == self._read_at:
            return
        jwks = json.loads(self._jwks_file.read_text())
        self._keys = {key["kid"]: jwt.PyJWK(key, algorithm="EdDSA").key for key in jwks["keys"]}
        self._keys_by_header.clear()
        self._read_at = changed_at


def check_peer(context: Context, allowed: frozenset[str]) -> None:
    """Raise CallerNotAllowed unless the peer's certificate names one of these services."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    for name in cast("tuple[bytes, ...]", names):
        if name.decode().removeprefix(SPIFFE_PREFIX) in allowed:
            return
    raise CallerNotAllowed("This service may not call this method.")


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials:
    """Return credentials that demand a certificate of the mesh from every client."""
    return grpc.ssl_server_credentials(
        [(settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())],
        root_certificates=settings.tls_ca.read_bytes(),
        require_client_auth=True,
    )


def channel_credentials(settings: ServiceSettings) -> grpc.ChannelCredentials:
    """Return credentials that show the service's certificate and trust the mesh alone."""
    return grpc.ssl_channel_credentials(
        settings.tls_ca.read_bytes(),
        settings.tls_key.read_bytes(),
        settings.tls_certificate.read_bytes(),
    )


def channel(settings: ServiceSettings, address: str) -> grpc.aio.Channel:
    """Return a channel to another service; calls are repeated by their callers, never by gRPC."""
    options = [
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    return grpc.aio.secure_channel(address, channel_credentials(settings), options=options)
