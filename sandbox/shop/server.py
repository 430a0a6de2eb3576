"""The demo shop's server: it makes payments and charges tokens, and never sees a card number."""

from __future__ import annotations

import asyncio
import html
import json
import uuid
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from sandbox.client import MerchantClient
from sandbox.state import ROOT

AMOUNT_MINOR = 2450
MESSAGES = {
    "succeeded": "Thank you! The lemon tree is on its way.",
    "pending_verification": "Your bank has not answered yet. We write to you as soon as it has.",
}
FILES = {"/shop.js": "text/javascript", "/shop.css": "text/css"}


class Shop:
    """One merchant's shop. edge_url: where paymesh is, for the server and for browsers."""

    def __init__(self, client: MerchantClient, edge_url: str, publishable_key: str) -> None:
        self._client = client
        self._page = _page(edge_url, publishable_key)
        self._orders: set[str] = set()

    def app(self, middlewares: Sequence[Middleware] = ()) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=middlewares)
        app.add_routes(
            [
                web.get("/", self._show),
                *(web.get(path, _file) for path in FILES),
                web.post("/orders", self._order),
                web.post("/orders/{payment_intent_id}/pay", self._pay),
            ]
        )
        return app

    async def _show(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html")

    async def _order(self, _: web.Request) -> web.Response:
        made = await self._client.call(
            "POST",
            "/payment-intents",
            {"amountInCents": AMOUNT_MINOR, "currency": "usd", "description": "One lemon tree"},
            idempotency_key=str(uuid.uuid4()),
        )
        if made.status != 200:
            return web.json_response({"message": "Please come back later."}, status=503)
        self._orders.add(made.body["id"])
        return web.json_response(
            {"paymentIntentId": made.body["id"], "clientSecret": made.body["clientSecret"]}
        )

    async def _pay(self, request: web.Request) -> web.Response:
        payment_intent_id = request.match_info["payment_intent_id"]
        if payment_intent_id not in self._orders:
            raise web.HTTPNotFound
        token = (await request.json())["token"]
        charged = await self._client.call(
            "POST",
            f"/payment-intents/{payment_intent_id}/transactions",
            {"type": "charge", "card": {"token": token}},
            idempotency_key=str(token),
        )
        return web.json_response(_told(charged.status, charged.body))


async def keep_open(shop: Shop, port: int) -> None:
    """Serve a shop on localhost until it is canceled."""
    runner = web.AppRunner(shop.app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "localhost", port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _told(status: int, body: Any) -> dict[str, str]:
    """Return what the customer is told."""
    if status != 200:
        return {"status": "failed", "message": body["error"]["message"]}
    came_to = body["status"]
    message = MESSAGES.get(came_to) or body["failure"]["message"]
    return {"status": came_to, "message": message}


def _page(edge_url: str, publishable_key: str) -> str:
    integrity = json.loads((ROOT / "edge" / "web" / "dist" / "integrity.json").read_text())
    page = files("sandbox.shop").joinpath("page.html").read_text()
    values = {
        "edge_url": edge_url,
        "integrity": integrity["paymesh.js"],
        "publishable_key": publishable_key,
    }
    for name, value in values.items():
        page = page.replace(f"{{{{{name}}}}}", html.escape(value))
    return page


async def _file(request: web.Request) -> web.Response:
    text = files("sandbox.shop").joinpath(request.path.removeprefix("/")).read_text()
    return web.Response(text=text, content_type=FILES[request.path])
