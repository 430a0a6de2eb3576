"""API keys as the checks know them: read from the database, remembered for a moment."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from chassis.errors import ServiceUnavailable
from chassis.ids import KeyId
from edge.authz.store.checks import SecretKey

REMEMBERED_S = 2.0  # after a change of a key every process goes by it at the latest
REMEMBERED_MAX = 20_000


class KeyCache:
    """Keeps keys out of the database's way. Unknown keys are remembered as well.

    read: reads a pair of keys. monotonic: seconds that only grow.

    What was read is as old as the moment before the reading began, so nothing that has changed
    since is remembered for longer than `REMEMBERED_S`, however long the reading took.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[SecretKey | None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, SecretKey | None]] = {}

    async def find(self, publishable_key: str) -> SecretKey | None:
        """Return the pair of keys, or None for one that does not exist."""
        now = self._monotonic()
        remembered = self._known.get(publishable_key)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        found = await self._read(publishable_key)
        self._known[publishable_key] = (now + REMEMBERED_S, found)
        return found


class LastUses:
    """Remembers when keys were last used, and writes it down once in a while, for all at once.

    write: writes moments by key.
    """

    def __init__(self, write: Callable[[Mapping[KeyId, datetime]], Awaitable[None]]) -> None:
        self._write = write
        self._unwritten: dict[KeyId, datetime] = {}

    def note(self, key_id: KeyId, now: datetime) -> None:
        """Remember that a key signed a request just now."""
        self._unwritten[key_id] = now

    async def flush(self) -> None:
        """Write down what was noted since. Raises ServiceUnavailable; then it is kept."""
        taken, self._unwritten = self._unwritten, {}
        if not taken:
            return
        try:
            await self._write(taken)
        except ServiceUnavailable:
            self._unwritten = taken | self._unwritten
            raise
