"""Answers Envoy's checks over HTTP: an ASGI application that sees each request's raw bytes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from chassis import spans
from chassis.clock import Clock
from chassis.errors import (
    RENDERINGS,
    DomainError,
    public_error,
)
from chassis.identity import BROWSERS, SERVERS, TokenMinter
from chassis.telemetry import request_id_var
from edge.authz.domain.key import ApiKey
from edge.authz.domain.signature import (
    SignatureInvalid,
    is_signed_with,
    publishable_key,
    signed_parts,
)
from edge.authz.keys import KeyCache, LastUses
from edge.authz.routes import find_route, is_for_browsers
from edge.authz.store.checks import CheckStore

LOG = logging.getLogger(__name__)
NO_SECRET = b"sk_of_no_key"  # checked for an unknown key, so that it takes as long as a known one
CLIENT_ADDRESS = b"x-client-address"  # Envoy's word; a client's own header of this name is dropped

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class AuthzApp:
    """Lets a request pass with a fresh token, or refuses it with the one error body."""

    def __init__(
        self,
        store: CheckStore,
        keys: KeyCache,
        last_uses: LastUses,
        minter: TokenMinter,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._last_uses = last_uses
        self._minter = minter
        self._clock = clock

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one check."""
        if scope["type"] != "http":
            return
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # A header that is there twice has no single meaning, so it has none.
            headers[name] = b"" if name in headers else value
        request_id = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id_var.set(request_id)
        traceparent = headers.get(b"traceparent")
        with spans.server_span("edge.authz/Check", traceparent and traceparent.decode("latin-1")):
            try:
                content = await _content(receive)
                passed = await self._check(scope, headers, content)
            except DomainError as refused:
                await refuse(send, refused, request_id)
                return
        await let_pass(send, passed)

    async def _check(
        self, scope: dict[str, Any], headers: dict[bytes, bytes], content: bytes
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers that go to the service. Raises a DomainError."""
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        query: str = scope["query_string"].decode("latin-1")
        nonce = None
        if is_for_browsers(path):
            key = await self._named_key(headers)
            audience, limited_by = BROWSERS, str(key.id)
        else:
            target = f"{path}?{query}" if query else path
            key, nonce = await self._signing_key(method, target, headers, content)
            key.check_address(headers.get(CLIENT_ADDRESS, b"").decode("latin-1"))
            audience, limited_by = SERVERS, str(key.merchant_id)
        route = find_route(method, path)
        key.check_right(route.resource, route.access)
        if nonce is not None:
            await self._store.nonces.submit((key.id, nonce))
        self._last_uses.note(key.id, self._clock.now())
        route.check(query, content)
        token = self._minter.mint(key.merchant_id, key.mode, audience)
        return [
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-merchant-id", key.merchant_id.encode()),
            (b"x-rate-limit-key", limited_by.encode()),
        ]

    async def _named_key(self, headers: dict[bytes, bytes]) -> ApiKey:
        """Return the key that a browser calls with; there is nothing secret about it."""
        found = await self._keys.find(publishable_key(headers))
        if found is None or not found.api_key.is_in_force(self._clock.now()):
            raise SignatureInvalid
        return found.api_key

    async def _signing_key(
        self, method: str, target: str, headers: dict[bytes, bytes], content: bytes
    ) -> tuple[ApiKey, UUID]:
        """Return the key that signed this request, and its nonce. Raises a DomainError."""
        now = self._clock.now()
        signed = signed_parts(headers, now)
        found = await self._keys.find(signed.publishable_key)
        secret = found.secret if found is not None else NO_SECRET
        is_genuine = is_signed_with(secret, signed, method, target.encode("latin-1"), content)
        if found is None or not is_genuine or not found.api_key.is_in_force(now):
            raise SignatureInvalid
        return found.api_key, signed.nonce


async def _content(receive: Receive) -> bytes:
    """Return the body, which Envoy has cut off at the limit already."""
    parts = []
    while True:
        event = await receive()
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(parts)


async def let_pass(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    """Answer a check with the headers that the request gets.

    A body without a length would be chunked: one more write, and one more record of TLS.
    """
    headers = [*headers, (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def refuse(send: Send, error: DomainError, request_id: str) -> None:
    """Answer a check with the one error body."""
    LOG.info("refused", extra={"reason": error.reason, "param": error.param})
    spans.mark_failed(error.reason)
    body = public_error(error, request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"x-paymesh-code", error.reason.lower().encode()),  # for Envoy's access log
        (b"content-length", str(len(body)).encode()),
    ]
    status = RENDERINGS[error.kind].http_status
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
