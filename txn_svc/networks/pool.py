"""The connections to one card network, kept up, with room for so many requests and no more."""

from __future__ import annotations

import asyncio
import logging
import random
from types import TracebackType
from typing import Self

from chassis.money import Money
from txn_svc.domain.card import Card
from txn_svc.networks.connection import (
    CardNetworkUnavailable,
    Connection,
    NoAnswer,
    NotSent,
)
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.messages import (
    AuthorizationResponse,
    Trace,
    authorization_response,
    pack_authorization,
)

__all__ = ["CardNetworkUnavailable", "NetworkPool", "NoAnswer", "NotSent", "Reservation"]

LOG = logging.getLogger(__name__)
BACKOFF_S_MIN = 0.2
BACKOFF_S_MAX = 10.0


class Reservation:
    """A place on a signed-on connection: the exchange's trace is known before anything is sent."""

    def __init__(self, network: str, connection: Connection) -> None:
        self._connection = connection
        self.network = network
        self.trace: Trace = connection.new_trace()

    def __enter__(self) -> Self:
        self._connection.in_flight += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.in_flight -= 1
        self._connection.release(self.trace)

    async def authorize(self, card: Card, money: Money) -> AuthorizationResponse:
        """Ask for the money. Raises NotSent, NoAnswer."""
        dialect = DIALECTS[self.network]
        message = pack_authorization(dialect, self.trace, card, money)
        reply = await self._connection.exchange("0100", self.trace, message)
        return authorization_response(reply)


class NetworkPool:
    """Connections to every address of a network, each connected again whenever it breaks.

    timeout_s: how long an answer may take. in_flight_max: per connection; more are refused.
    """

    def __init__(
        self,
        name: str,
        addresses: list[str],
        *,
        timeout_s: float,
        connections: int = 2,
        in_flight_max: int = 500,
    ) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self._in_flight_max = in_flight_max
        self._connections = [
            (address, Connection(name, DIALECTS[name], f"PM{number:06d}", timeout_s))
            for number, address in enumerate(addresses * connections, start=1)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False

    @property
    def unmatched(self) -> list[dict[str, str]]:
        """The last replies that answered nothing."""
        return [kept for _, connection in self._connections for kept in connection.unmatched]

    async def start(self) -> None:
        """Begin to connect; until a connection is signed on, reservations are refused."""
        self._tasks = [
            asyncio.create_task(self._keep(address, connection), name=f"network {self.name}")
            for address, connection in self._connections
        ]

    async def stop(self) -> None:
        """Sign off and close."""
        self._is_stopping = True
        await asyncio.gather(*(connection.sign_off() for _, connection in self._connections))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reserve(self) -> Reservation:
        """Return a place on the least busy connection. Raises CardNetworkUnavailable."""
        usable = [
            connection
            for _, connection in self._connections
            if connection.is_signed_on and connection.in_flight < self._in_flight_max
        ]
        if not usable:
            raise CardNetworkUnavailable
        return Reservation(self.name, min(usable, key=lambda connection: connection.in_flight))

    async def _keep(self, address: str, connection: Connection) -> None:
        host, _, port = address.rpartition(":")
        backoff_s = BACKOFF_S_MIN

        def signed_on() -> None:
            nonlocal backoff_s
            backoff_s = BACKOFF_S_MIN
            LOG.info("signed on", extra={"network": self.name, "address": address})

        # One that breaks while it is canceled tells of the break alone, so the flag counts too.
        while not self._is_stopping:
            try:
                await connection.run(host, int(port), signed_on)
            except OSError as error:
                LOG.warning(
                    "connection ended",
                    extra={"network": self.name, "address": address, "reason": str(error)},
                )
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
            backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)
