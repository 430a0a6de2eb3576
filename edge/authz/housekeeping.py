"""What the edge does beside the checks: forgets old nonces, writes down when keys were used."""

from __future__ import annotations

import contextlib

from chassis.background import Repeated
from chassis.errors import ServiceUnavailable
from edge.authz.keys import LastUses
from edge.authz.store.checks import CheckStore

PRUNE_EVERY_S = 30.0
LAST_USES_EVERY_S = 60.0


class Housekeeping:
    """Does it again and again; what fails is done the next time."""

    def __init__(self, store: CheckStore, last_uses: LastUses) -> None:
        self._last_uses = last_uses
        self._loops = [
            Repeated("prune nonces", store.prune_nonces, PRUNE_EVERY_S),
            Repeated("write last uses", last_uses.flush, LAST_USES_EVERY_S),
        ]

    async def start(self) -> None:
        """Begin in the background."""
        for loop in self._loops:
            await loop.start()

    async def stop(self) -> None:
        """Stop, and write down what was noted."""
        for loop in self._loops:
            await loop.stop()
        with contextlib.suppress(ServiceUnavailable):
            await self._last_uses.flush()
