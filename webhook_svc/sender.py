"""Posts deliveries to merchants, and never to an address inside a private network."""

from __future__ import annotations

import socket
import time
from typing import Any

import aiohttp

from chassis.clock import Clock
from webhook_svc.domain.address import is_public
from webhook_svc.domain.delivery import RESPONSE_LENGTH_MAX, Try
from webhook_svc.domain.signature import headers
from webhook_svc.store.queue import Claim

CONNECT_S = 5.0
TOTAL_S = 15.0
CONNECTIONS_MAX = 512
RESPONSE_BYTES_MAX = 16_384


class AddressBlocked(OSError):
    """The address is not public."""


class Sender:
    """Makes one try at a time of as many deliveries as there are connections."""

    def __init__(self, clock: Clock, *, allows_private: bool) -> None:
        self._clock = clock
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                # Sees every address that is really dialled, literal ones too, on every try.
                socket_factory=_socket if allows_private else _guarded_socket,
                limit=CONNECTIONS_MAX,
                ttl_dns_cache=10,
            ),
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._session.close()

    async def send(self, claim: Claim) -> Try:
        """Post a delivery and return what came of it."""
        at = self._clock.now()
        started_s = time.perf_counter()
        status: int | None = None
        response: str | None = None
        error: str | None = None
        signed = headers(claim.event_id, int(at.timestamp()), claim.body, claim.secrets)
        try:
            async with self._session.post(
                claim.url,
                data=claim.body,
                headers={
                    **signed,
                    "content-type": "application/json",
                    "user-agent": "paymesh-webhooks/1",
                },
                allow_redirects=False,
            ) as answer:
                status = answer.status
                response = _readable(await answer.content.read(RESPONSE_BYTES_MAX))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            if status is None:
                error = _error_class(failure)
        duration_ms = int((time.perf_counter() - started_s) * 1000)
        return Try(at, duration_ms, status, error, response)


def _readable(content: bytes) -> str:
    return content.decode(errors="replace").replace("\0", "")[:RESPONSE_LENGTH_MAX]


def _error_class(failure: Exception) -> str:
    """Return the public name of a failure; the order matters, the classes are nested."""
    os_error = getattr(failure, "os_error", failure)
    for kind, name in ERROR_CLASSES:
        if isinstance(os_error, kind) or isinstance(failure, kind):
            return name
    return "protocol"


ERROR_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (AddressBlocked, "blocked_address"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (ConnectionError, "connect"),
)


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def _guarded_socket(address: Any) -> socket.socket:
    if not is_public(address[4][0]):
        raise AddressBlocked("the address is not public")
    return _socket(address)
