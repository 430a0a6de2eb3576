"""API keys as the checks know them: read from the database, remembered for a moment."""

from __future__ import annotations

import time

from edge.authz.store import AuthzStore, SecretKey

REMEMBERED_S = 2.0  # a revoked key works no longer than this
REMEMBERED_MAX = 20_000


class KeyCache:
    """Keeps keys out of the database's way. Unknown keys are remembered as well."""

    def __init__(self, store: AuthzStore) -> None:
        self._store = store
        self._known: dict[str, tuple[float, SecretKey | None]] = {}

    async def find(self, publishable_key: str) -> SecretKey | None:
        """Return the pair of keys, or None for one that does not exist."""
        now = time.monotonic()
        remembered = self._known.get(publishable_key)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        found = await self._store.keys.submit(publishable_key)
        self._known[publishable_key] = (now + REMEMBERED_S, found)
        return found
