"""Answers Envoy's checks over HTTP: an ASGI application that sees each request's raw bytes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from chassis import spans
from chassis.clock import Clock
from chassis.errors import (
    RENDERINGS,
    DomainError,
    public_error,
)
from chassis.identity import TokenMinter
from chassis.telemetry import request_id_var
from edge.authz.domain import SignatureInvalid, is_signed_with, signed_parts
from edge.authz.keys import KeyCache
from edge.authz.routes import check_request
from edge.authz.store import AuthzStore

LOG = logging.getLogger(__name__)
NO_SECRET = b"sk_of_no_key"  # checked for an unknown key, so that it takes as long as a known one

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class AuthzApp:
    """Lets a request pass with a fresh token, or refuses it with the one error body."""

    def __init__(
        self, store: AuthzStore, keys: KeyCache, minter: TokenMinter, clock: Clock
    ) -> None:
        self._store = store
        self._keys = keys
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
                passed = await self._check(scope, headers, content, request_id)
            except DomainError as refused:
                await _refuse(send, refused, request_id)
                return
        await send({"type": "http.response.start", "status": 200, "headers": passed})
        await send({"type": "http.response.body", "body": b""})

    async def _check(
        self, scope: dict[str, Any], headers: dict[bytes, bytes], content: bytes, request_id: str
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers that go to the service. Raises a DomainError."""
        now = self._clock.now()
        signed = signed_parts(headers, now)
        path: bytes = scope["raw_path"]
        query: bytes = scope["query_string"]
        target = path + b"?" + query if query else path
        found = await self._keys.find(signed.publishable_key)
        secret = found.secret if found is not None else NO_SECRET
        is_genuine = is_signed_with(secret, signed, scope["method"], target, content)
        if found is None or not is_genuine or not found.api_key.is_in_force(now):
            raise SignatureInvalid
        key = found.api_key
        await self._store.nonces.submit((key.id, signed.nonce))
        check_request(scope["method"], path.decode("latin-1"), query.decode("latin-1"), content)
        token = self._minter.mint(key.merchant_id, key.mode, request_id)
        return [
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-merchant-id", key.merchant_id.encode()),
        ]


async def _content(receive: Receive) -> bytes:
    """Return the body, which Envoy has cut off at the limit already."""
    parts = []
    while True:
        event = await receive()
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(parts)


async def _refuse(send: Send, error: DomainError, request_id: str) -> None:
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
