"""One long-lived connection to a card network: many requests in flight, replies in any order."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Container
from datetime import UTC, datetime
from enum import StrEnum

from opentelemetry import metrics

from chassis.errors import DomainError, Kind
from txn_svc.networks.dialect import DIALECTS
from txn_svc.networks.framing import frame, read_frame
from txn_svc.networks.link import NetworkLink
from txn_svc.networks.messages import (
    ECHO,
    SIGN_OFF,
    SIGN_ON,
    MatchKey,
    MessageInvalid,
    Trace,
    match_key,
    pack_network_management,
    request_key,
    unpack,
)

LOG = logging.getLogger(__name__)
STAN_MAX = 999_999
ECHO_IDLE_S = 10.0
CONNECT_S = 10.0
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNMATCHED_KEPT_MAX = 1000

_meter = metrics.get_meter("paymesh")
unmatched_replies = _meter.create_counter(
    "paymesh_network_unmatched_replies",
    unit="{message}",
    description="Replies that answer nothing that waits: late, repeated or foreign; by network.",
)

connections_ended = _meter.create_counter(
    "paymesh_network_connections_ended",
    unit="{connection}",
    description="Connections that ended or were not made; by network and stage.",
)

Elements = dict[str, str]


class Stage(StrEnum):
    """How far a connection had come when it ended."""

    UNREACHABLE = "unreachable"  # no connection, or no TLS in time
    REFUSED = "refused"  # one side did not trust the other's certificate, or speaks no TLS
    NOT_SIGNED_ON = "not_signed_on"  # nor did the network let us in
    SIGNED_ON = "signed_on"


class ConnectionEnded(ConnectionError):
    """A connection to a network is gone, or was not made."""

    def __init__(self, stage: Stage, cause: BaseException) -> None:
        super().__init__(repr(cause))
        is_refused = isinstance(cause, ssl.SSLError) and stage is not Stage.SIGNED_ON
        self.stage = Stage.REFUSED if is_refused else stage


class NotSent(Exception):
    """Nothing of the request left this machine, for certain."""


class NoAnswer(Exception):
    """No answer came in time, or the connection broke: the outcome is unknown."""


class SignOnRefused(ConnectionError):
    """The network did not let us in."""


class CardNetworkUnavailable(DomainError):
    """No connection to the network can take a request; nothing was sent."""

    kind, reason = Kind.UNAVAILABLE, "CARD_NETWORK_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__(
            "The card network is out of reach for now. Nothing was charged; repeat the request."
        )


class Connection:
    """A signed-on connection.

    terminal_id: DE41, which gives each connection its own space of STANs. held_stans: those that
    must not be used, because what became of their exchanges is not known yet. on_stray: gets every
    reply that answers nothing that waits. unmatched: the last of those, without card data.
    """

    def __init__(
        self,
        network: str,
        terminal_id: str,
        timeout_s: float,
        held_stans: Container[str],
        on_stray: Callable[[Elements], None],
    ) -> None:
        self._network = network
        self._held_stans = held_stans
        self._on_stray = on_stray
        self._dialect = DIALECTS[network]
        self._terminal_id = terminal_id
        self._timeout_s = timeout_s
        self._stan = random.randrange(STAN_MAX)  # noqa: S311 a start, not a secret
        self._open_stans: set[str] = set()
        self._pending: dict[MatchKey, asyncio.Future[Elements]] = {}
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._last_read_at = 0.0
        self.is_signed_on = False
        self.in_flight = 0
        self.unmatched: deque[Elements] = deque(maxlen=UNMATCHED_KEPT_MAX)

    async def run(self, link: NetworkLink, address: str, signed_on: Callable[[], None]) -> None:
        """Connect, sign on and read until the connection ends. Raises ConnectionEnded."""
        host, _, port = address.rpartition(":")
        try:
            # asyncio.wait_for loses a cancellation that meets its result (Python 3.11).
            async with asyncio.timeout(CONNECT_S):
                self._reader, self._writer = await asyncio.open_connection(
                    host, int(port), ssl=link.context(), server_hostname=link.server_name
                )
        except OSError as error:
            raise ConnectionEnded(Stage.UNREACHABLE, error) from None
        stage = Stage.NOT_SIGNED_ON
        cause: BaseException = EOFError()
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(self._reader))
                await self._manage(SIGN_ON)
                self.is_signed_on, stage = True, Stage.SIGNED_ON
                signed_on()
                echoing = group.create_task(self._echo())
                await asyncio.wait([reading, echoing], return_when=asyncio.FIRST_COMPLETED)
        except* (OSError, EOFError, NoAnswer, NotSent) as ended:
            cause = ended.exceptions[0]
        finally:
            self._close()
        # Raised here and not above, where releases of Python differ in what comes out.
        raise ConnectionEnded(stage, cause)

    async def sign_off(self) -> None:
        """Tell the network that we leave."""
        if self.is_signed_on:
            self.is_signed_on = False
            try:
                await self._manage(SIGN_OFF)
            except (NoAnswer, NotSent, ConnectionError):
                LOG.info("no answer to sign-off", extra={"network": self._network})

    def new_trace(self) -> Trace:
        """Return a trace that no open exchange here has; give it back to `release`."""
        while True:
            self._stan = self._stan % STAN_MAX + 1
            stan = f"{self._stan:06d}"
            if stan not in self._open_stans and stan not in self._held_stans:
                break
        self._open_stans.add(stan)
        now = datetime.now(UTC)
        return Trace(now.strftime("%m%d%H%M%S"), stan, _new_rrn(), self._terminal_id)

    def release(self, trace: Trace) -> None:
        """Let the STAN be used again, now that its exchange is over."""
        self._open_stans.discard(trace.stan)

    async def exchange(
        self, mti: str, trace: Trace, message: bytes, send_until: float = math.inf
    ) -> Elements:
        """Send a request and return the elements of its reply.

        send_until: by time.monotonic; after it nothing must be sent any more, because others may
        have settled by then what it is about. Raises NotSent when it is over or the connection is
        gone already, and NoAnswer when it may have been sent.
        """
        writer = self._writer
        if writer is None or self._is_gone() or time.monotonic() > send_until:
            raise NotSent
        key = request_key(self._dialect, mti, trace)
        future: asyncio.Future[Elements] = asyncio.get_running_loop().create_future()
        self._pending[key] = future
        try:
            writer.write(frame(message))
            async with asyncio.timeout(self._timeout_s):
                return await future
        except TimeoutError:
            raise NoAnswer from None
        finally:
            self._pending.pop(key, None)

    def _is_gone(self) -> bool:
        """Whether the other side has closed; of a TLS connection only its reader knows."""
        reader = self._reader
        return reader is None or reader.at_eof() or reader.exception() is not None

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            message = await read_frame(reader)
            self._last_read_at = time.monotonic()
            try:
                elements = unpack(self._dialect, message)
            except MessageInvalid:
                LOG.warning("unreadable reply", exc_info=True, extra={"network": self._network})
                continue
            future = self._pending.get(match_key(self._dialect, elements))
            if future is None or future.done():
                self._keep_unmatched(elements)
            else:
                future.set_result(elements)

    def _keep_unmatched(self, elements: Elements) -> None:
        kept: Elements = {
            name: elements[name] for name in ("t", "7", "11", "37", "39") if name in elements
        }
        self.unmatched.append(kept)
        unmatched_replies.add(1, {"network": self._network})
        LOG.warning("unmatched reply", extra={"network": self._network, "elements": kept})
        self._on_stray(elements)

    async def _echo(self) -> None:
        while True:
            await asyncio.sleep(ECHO_IDLE_S)
            if time.monotonic() - self._last_read_at >= ECHO_IDLE_S:
                await self._manage(ECHO)

    async def _manage(self, code: str) -> None:
        trace = self.new_trace()
        try:
            message = pack_network_management(self._dialect, trace, code)
            reply = await self.exchange("0800", trace, message)
        finally:
            self.release(trace)
        if reply.get("39") != "00":
            raise SignOnRefused(f"network management {code} got {reply.get('39')}")

    def _close(self) -> None:
        self.is_signed_on = False
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._pending.values():
            if not future.done():
                future.set_exception(NoAnswer())


def _new_rrn() -> str:
    """Return 12 characters that no other exchange has: milliseconds and chance, base 36."""
    number = time.time_ns() // 1_000_000 * 36**4 + secrets.randbelow(36**4)
    digits = []
    for _ in range(12):
        number, digit = divmod(number, 36)
        digits.append(ALPHANUMERIC[digit])
    return "".join(reversed(digits))
