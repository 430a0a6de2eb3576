"""The merchants' webhook receiver: keeps what arrives and whether its signature is valid."""

from __future__ import annotations

import json
from typing import Any, Self

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.faults.evidence import Delivery


class Receiver:
    """Listens on loopback for all merchants, each at a path of its own."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._secrets: dict[str, str] = {}
        self._runner: web.AppRunner | None = None
        self._base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{merchant_id}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, merchant_id: str) -> str:
        """Return where this merchant is told."""
        return f"{self._base_url}/{merchant_id}"

    def trust(self, merchant_id: str, secret: str) -> None:
        """Verify with the secret of the merchant's endpoint from now on."""
        self._secrets[merchant_id] = secret

    async def _take(self, request: web.Request) -> web.Response:
        merchant_id = request.match_info["merchant_id"]
        headers = {name.lower(): value for name, value in request.headers.items()}
        content = await request.read()
        is_signed = True
        try:
            Webhook(self._secrets[merchant_id]).verify(content, headers)
        except WebhookVerificationError:
            is_signed = False
        event: dict[str, Any] = json.loads(content)
        intent = event["data"]["object"]
        self.deliveries.append(
            Delivery(
                merchant_id=merchant_id,
                event_id=event["id"],
                type=event["type"],
                intent_id=intent["id"],
                version=event["data"]["version"],
                status=intent["status"],
                is_signed=is_signed and headers.get("webhook-id") == event["id"],
            )
        )
        return web.Response(text="thank you")
