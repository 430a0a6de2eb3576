"""Posts deliveries to merchants, and never to an address inside a private network."""

from __future__ import annotations

import time

import aiohttp

from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.scrubbing import scrub
from webhook_svc.dialing import AddressBlocked
from webhook_svc.domain.delivery import RESPONSE_LENGTH_MAX, Try
from webhook_svc.domain.endpoint import check_url
from webhook_svc.domain.signature import headers
from webhook_svc.store.queue import Claim

CONNECT_S = 5.0
TOTAL_S = 15.0
RESPONSE_BYTES_MAX = 16_384
BLOCKED = "blocked_address"


class Sender:
    """Makes one try at a time of as many deliveries as there are connections.

    connector: from `dialing.connector`, which guards the addresses; the rules of the URL are
        looked at here, because an endpoint may be older than a rule.
    total_s: for a whole try, from the name's lookup to the last byte that is read.
    """

    def __init__(
        self,
        clock: Clock,
        connector: aiohttp.TCPConnector,
        *,
        allows_private: bool,
        total_s: float = TOTAL_S,
    ) -> None:
        self._clock = clock
        self._allows_private = allows_private
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_S),
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
        try:
            check_url(claim.url, allows_private=self._allows_private)
        except DomainError:
            return Try(at, 0, error=BLOCKED)
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
    """Return the beginning of an answer: anything may stand there, and it is kept."""
    return scrub(content.decode(errors="replace").replace("\0", ""))[:RESPONSE_LENGTH_MAX]


def _error_class(failure: Exception) -> str:
    """Return the public name of a failure; the order matters, the classes are nested."""
    os_error = getattr(failure, "os_error", failure)
    for kind, name in ERROR_CLASSES:
        if isinstance(os_error, kind) or isinstance(failure, kind):
            return name
    return "protocol"


ERROR_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (AddressBlocked, BLOCKED),
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (ConnectionError, "connect"),
)
