"""Replies of a network that answer nothing that waits: taken aside, so many at once and no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from opentelemetry import metrics

from chassis.errors import DomainError, Kind
from txn_svc.networks.connection import Elements

LOG = logging.getLogger(__name__)
IN_HAND_MAX = 1000
PAUSES_S = (0.2, 1.0, 5.0, 30.0)

_meter = metrics.get_meter("paymesh")
lost_replies = _meter.create_counter(
    "paymesh_network_lost_replies",
    unit="{message}",
    description="Replies that nobody waited for and that could not be looked at; by network.",
)


class StrayReplies:
    """Has stray replies settled in the background; no connection waits for it.

    settle: looks one up and decides on it. What a network sends beyond `IN_HAND_MAX` is not looked
    at, but counted and logged: an attempt that it would have settled is settled otherwise.
    """

    def __init__(self, settle: Callable[[str, Elements], Awaitable[None]]) -> None:
        self._settle = settle
        self._in_hand: set[asyncio.Task[None]] = set()

    def take(self, network: str, elements: Elements) -> None:
        """Take a reply, if there is room for it."""
        if len(self._in_hand) >= IN_HAND_MAX:
            _lose(network, elements, "too many at once")
            return
        task = asyncio.create_task(self._take(network, elements), name="stray reply")
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def stop(self) -> None:
        """Finish with those that came in."""
        await asyncio.gather(*self._in_hand)

    async def _take(self, network: str, elements: Elements) -> None:
        reason = ""
        for pause_s in PAUSES_S:
            try:
                await self._settle(network, elements)
            except DomainError as refused:
                reason = refused.reason
                if refused.kind is not Kind.UNAVAILABLE:
                    break
                LOG.warning("a stray reply waits for the database", extra={"network": network})
                await asyncio.sleep(pause_s)
            else:
                return
        _lose(network, elements, reason)


def _lose(network: str, elements: Elements, reason: str) -> None:
    names = {"mti": "t", "stan": "11", "rrn": "37", "response_code": "39"}
    about = {name: elements.get(element, "") for name, element in names.items()}
    lost_replies.add(1, {"network": network})
    LOG.error("a stray reply is lost", extra={"network": network, "reason": reason, **about})
