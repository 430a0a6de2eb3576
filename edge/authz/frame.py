"""Says whose pages may show the card fields, and hands every other check on."""

from __future__ import annotations

from typing import Any

from chassis.clock import Clock
from chassis.errors import ServiceUnavailable
from edge.authz.app import AuthzApp, Receive, Send, let_pass, refuse
from edge.authz.domains import DomainHandlers
from edge.authz.keys import KeyCache

FRAME = "/card-frame"  # a page: whoever loads it has no key to show
NOBODY = "'none'"


class FrameApp:
    """Lets the page pass with the `frame-ancestors` of its key's merchant, for edge/web."""

    def __init__(
        self, app: AuthzApp, keys: KeyCache, domains: DomainHandlers, clock: Clock
    ) -> None:
        self._app = app
        self._keys = keys
        self._domains = domains
        self._clock = clock

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one check."""
        if scope["type"] != "http" or scope["path"] != FRAME:
            await self._app(scope, receive, send)
            return
        try:
            ancestors = await self._ancestors(scope["query_string"].decode("latin-1"))
        except ServiceUnavailable as away:
            request_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
            await refuse(send, away, request_id)
            return
        await let_pass(send, [(b"x-frame-ancestors", ancestors.encode())])

    async def _ancestors(self, query: str) -> str:
        """Return whose pages: nobody's, if the key is not in force."""
        name, _, publishable_key = query.partition("=")
        found = await self._keys.find(publishable_key) if name == "key" else None
        if found is None or not found.api_key.is_in_force(self._clock.now()):
            return NOBODY
        key = found.api_key
        return await self._domains.frame_ancestors(key.merchant_id, key.mode)
