"""A merchant's webhook receiver: verifies signatures as Standard Webhooks 1.0 says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Self

from aiohttp import web

TOLERANCE_S = 300


class SignatureInvalid(Exception):
    """Not from paymesh, changed on its way, or old."""


def verify(secret: str, headers: Mapping[str, str], content: bytes) -> Any:
    """Return the event. Raises SignatureInvalid."""
    timestamp = headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        raise SignatureInvalid("too old or too new")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + content
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    for given in headers["webhook-signature"].split(" "):
        if hmac.compare_digest(given, f"v1,{expected}"):
            return json.loads(content)
    raise SignatureInvalid("no signature matches")


class Receiver:
    """Listens on loopback and keeps what arrives, verified."""

    def __init__(self) -> None:
        self.url = ""
        self._secret = asyncio.get_running_loop().create_future()
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/webhooks", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/webhooks"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def trust(self, secret: str) -> None:
        """Verify with the endpoint's secret from now on."""
        self._secret.set_result(secret)

    async def event(self, timeout_s: float) -> Any:
        """Return the next event."""
        return await asyncio.wait_for(self._events.get(), timeout_s)

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        content = await request.read()
        try:
            self._events.put_nowait(verify(await self._secret, headers, content))
        except SignatureInvalid as refused:
            return web.Response(status=400, text=str(refused))
        return web.Response(text="thank you")
