"""The connections to one card network, kept up, with room for so many requests and no more."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from chassis.background import keep_running
from chassis.money import Money
from chassis.networks import NetworkRules
from txn_svc.domain.card import Card, Pan
from txn_svc.networks.connection import (
    CardNetworkUnavailable,
    Connection,
    ConnectionEnded,
    Elements,
    NoAnswer,
    NotSent,
    connections_ended,
)
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.link import NetworkLink
from txn_svc.networks.messages import (
    AuthorizationResponse,
    CaptureAdvice,
    ReversalAdvice,
    Trace,
    authorization_response,
    pack_authorization,
    pack_capture,
    pack_inquiry,
    pack_reversal,
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

    async def authorize(
        self, card: Card, money: Money, send_until: float, *, is_hold: bool = False
    ) -> AuthorizationResponse:
        """Ask for the money, or only to hold it, by `send_until` (time.monotonic) or not at all.

        Raises NotSent, NoAnswer.
        """
        dialect = DIALECTS[self.network]
        message = pack_authorization(dialect, self.trace, card, money, is_hold=is_hold)
        reply = await self._connection.exchange("0100", self.trace, message, send_until)
        return authorization_response(reply)

    async def inquire(self, rrn: str, money: Money, pan: Pan | None) -> AuthorizationResponse:
        """Ask what became of an earlier exchange. Raises NotSent, NoAnswer."""
        trace = replace(self.trace, rrn=rrn)
        message = pack_inquiry(DIALECTS[self.network], trace, money, pan)
        return authorization_response(await self._connection.exchange("0100", trace, message))

    async def reverse(self, advice: ReversalAdvice) -> str:
        """Advise that an earlier exchange is undone, and return the response code.

        Raises NotSent, NoAnswer.
        """
        message = pack_reversal(DIALECTS[self.network], advice)
        return (await self._connection.exchange(advice.mti, advice.trace, message)).get("39", "")

    async def capture(self, advice: CaptureAdvice) -> str:
        """Advise that held funds are claimed, and return the response code.

        Raises NotSent, NoAnswer.
        """
        message = pack_capture(DIALECTS[self.network], advice)
        return (await self._connection.exchange(advice.mti, advice.trace, message)).get("39", "")


class NetworkPool:
    """Connections to every address of a network, each connected again whenever it breaks.

    rules: the network's own. in_flight_max: per connection; more are refused.
    on_stray: gets the network's name and every reply that answers nothing that waits.
    """

    def __init__(
        self,
        name: str,
        link: NetworkLink,
        rules: NetworkRules,
        *,
        connections: int = 2,
        in_flight_max: int = 500,
    ) -> None:
        self.name = name
        self.rules = rules
        self.on_stray: Callable[[str, Elements], None] = lambda *_: None
        self._link = link
        self._in_flight_max = in_flight_max
        self._held_stans: set[str] = set()
        process = f"P{secrets.randbelow(36**4):04X}"[:5]
        self._connections = [
            (
                address,
                Connection(
                    name,
                    f"{process}{number:03d}",
                    rules.timeout_s,
                    self._held_stans,
                    lambda elements: self.on_stray(name, elements),
                ),
            )
            for number, address in enumerate(link.addresses * connections, start=1)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False

    @property
    def held_stans(self) -> frozenset[str]:
        """The STANs that are used for nothing else."""
        return frozenset(self._held_stans)

    @property
    def unmatched(self) -> list[dict[str, str]]:
        """The last replies that answered nothing."""
        return [kept for _, connection in self._connections for kept in connection.unmatched]

    async def start(self) -> None:
        """Begin to connect; until a connection is signed on, reservations are refused."""
        self._tasks = [
            keep_running(self._keep(address, connection), name=f"network {self.name}")
            for address, connection in self._connections
        ]

    async def stop(self) -> None:
        """Sign off and close."""
        self._is_stopping = True
        await asyncio.gather(*(connection.sign_off() for _, connection in self._connections))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self, *stans: str) -> None:
        """Use these STANs for nothing else, because their exchanges are open."""
        self._held_stans.update(stans)

    def let_go(self, *stans: str) -> None:
        """Let STANs be used again, now that their exchanges are settled."""
        self._held_stans.difference_update(stans)

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
        backoff_s = BACKOFF_S_MIN

        def signed_on() -> None:
            nonlocal backoff_s
            backoff_s = BACKOFF_S_MIN
            LOG.info("signed on", extra={"network": self.name, "address": address})

        # One that breaks while it is canceled tells of the break alone, so the flag counts too.
        while not self._is_stopping:
            try:
                await connection.run(self._link, address, signed_on)
            except ConnectionEnded as ended:
                where = {"network": self.name, "stage": str(ended.stage)}
                connections_ended.add(1, where)
                LOG.warning(
                    "connection ended", extra={**where, "address": address, "reason": str(ended)}
                )
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
            backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)
