"""Who calls: mutual TLS between services, and the merchant's identity as a token of the edge."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis import certificates
from chassis.clock import Clock
from chassis.config import MemberSettings, MeshSettings
from chassis.errors import CallerNotAllowed, Unauthenticated
from chassis.ids import MerchantId

LOG = logging.getLogger(__name__)
ISSUER = "paymesh-edge"
SERVERS = "paymesh"  # audience of what a merchant's server has signed
BROWSERS = "paymesh-browsers"  # of what any browser may ask, which knows a publishable key alone
TOKEN_LIFETIME_S = 60
TOKEN_SHARED_S = 30  # how long requests get one and the same; what is left of its life is enough
REMEMBERED_MAX = 20_000
KEYS_CHECK_S = 1.0
SPIFFE_PREFIX = "spiffe://paymesh/"

Key = TypeVar("Key")
Value = TypeVar("Value")
Mode = Literal["test", "live"]
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """The merchant on whose behalf a request runs, and the mode of the key that it came with."""

    merchant_id: MerchantId
    mode: Mode


_caller_var: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """Return the merchant of the running request. Only in services that merchants call."""
    return _caller_var.get()


def set_caller(caller: Caller) -> None:
    """Make the merchant known to everything that runs for this request."""
    _caller_var.set(caller)


def key_id(key: Ed25519PrivateKey) -> str:
    """Return the name of a signing key: its thumbprint (RFC 7638), so it can't be another's."""
    public = _base64url(key.public_key().public_bytes_raw())
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}'
    return _base64url(hashlib.sha256(members.encode()).digest())


class TokenMinter:
    """Makes the tokens by which the edge tells services who calls.

    Requests of a merchant share one for a while: to sign it and to check it cost more than all the
    rest of a check. A request has its id in a header.
    """

    def __init__(self, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._headers = {"kid": key_id(key)}
        self._shared: dict[tuple[str, str, str], tuple[float, str]] = {}

    def mint(self, merchant_id: str, mode: str, audience: str) -> str:
        """Return a token that is good for 30 seconds at least, and for a minute at most."""
        now_s = self._clock.now().timestamp()
        subject = (merchant_id, mode, audience)
        shared = self._shared.get(subject)
        if shared is not None and 0 <= now_s - shared[0] < TOKEN_SHARED_S:
            return shared[1]
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "mer": merchant_id,
            "mode": mode,
            "iat": int(now_s),
            "exp": int(now_s) + TOKEN_LIFETIME_S,
        }
        token = jwt.encode(claims, self._key, algorithm="EdDSA", headers=self._headers)
        _remember(self._shared, subject, (now_s, token))
        return token


class TokenVerifier:
    """Checks the edge's tokens against its public keys.

    A key counts from when it stands in the file until at most a second after it does no more. A
    token that was good is remembered until it expires or the keys change.
    """

    def __init__(self, jwks_file: Path) -> None:
        self._jwks_file = jwks_file
        self._keys: dict[str, Any] = {}
        self._verified: dict[tuple[str, str], tuple[int, Caller]] = {}
        self._version = (0, 0)
        self._look_at = 0.0

    def verify(self, token: str, audience: str) -> Caller:
        """Return who calls.

        Raises Unauthenticated for a token that is forged, expired or meant for others.
        """
        if time.monotonic() >= self._look_at:
            self._read()
        known = self._verified.get((token, audience))
        if known is not None and time.time() < known[0]:
            return known[1]
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=["EdDSA"],
                audience=audience,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "aud", "iss", "mer", "mode"]},
            )
        except jwt.InvalidTokenError as refused:
            raise Unauthenticated("The caller's token is not valid.") from refused
        caller = Caller(MerchantId(claims["mer"]), claims["mode"])
        _remember(self._verified, (token, audience), (claims["exp"], caller))
        return caller

    def _key(self, token: str) -> Any:
        """Return the key that the token names."""
        name = jwt.get_unverified_header(token).get("kid", "")
        if name not in self._keys:
            self._read()
        if name not in self._keys:
            raise jwt.InvalidTokenError(name)
        return self._keys[name]

    def _read(self) -> None:
        self._look_at = time.monotonic() + KEYS_CHECK_S
        try:
            stat = self._jwks_file.stat()
            version = (stat.st_ino, stat.st_mtime_ns)
            if version == self._version:
                return
            listed = json.loads(self._jwks_file.read_text())["keys"]
            self._keys = {key["kid"]: jwt.PyJWK(key, algorithm="EdDSA").key for key in listed}
        except (OSError, ValueError, LookupError, jwt.PyJWTError):
            LOG.exception("the edge's public keys can't be read")
            return
        self._verified.clear()
        self._version = version


def _remember(known: dict[Key, Value], key: Key, value: Value) -> None:
    """Keep a value. What was kept goes all at once when it is too much."""
    if len(known) >= REMEMBERED_MAX:
        known.clear()
    known[key] = value


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def check_peer(context: Context, allowed: frozenset[str]) -> None:
    """Raise CallerNotAllowed unless the peer's certificate names one of these services."""
    if allowed.isdisjoint(peer_names(context)):
        raise CallerNotAllowed("This service may not call this method.")


def peer_names(context: Context) -> list[str]:
    """Return the services that the peer's certificate names, which is one."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return [name.decode().removeprefix(SPIFFE_PREFIX) for name in cast("tuple[bytes, ...]", names)]


def server_credentials(settings: MeshSettings) -> grpc.ServerCredentials:
    """Return credentials that demand a certificate of the mesh from every client."""
    return certificates.server_credentials(settings.certificate_files)


def channel(settings: MemberSettings, address: str) -> grpc.aio.Channel:
    """Return a channel to another service; calls are repeated by their callers, never by gRPC."""
    options: list[tuple[str, int | str]] = [
        ("grpc.lb_policy_name", "round_robin"),  # over all addresses that the name has
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    return certificates.RenewedChannel(settings.certificate_files, address, options)


def kafka_credentials(certificate: Path, key: Path, ca: Path) -> dict[str, str]:
    """Return what a client of Kafka takes to show a certificate and to trust the mesh alone.

    The client checks the broker's name. It reads the files for each connection, so a certificate
    that is renewed counts from the next one on.
    """
    return {
        "security_protocol": "SSL",
        "ssl_cafile": str(ca),
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(key),
    }
