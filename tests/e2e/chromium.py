"""A real browser, and the demo shop that it visits; everything that leaves the page is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from sandbox.client import Keys, MerchantClient
from sandbox.shop.server import Shop
from sandbox.state import ROOT
from tests.e2e.conftest import Mesh

SHOTS = ROOT / "build" / "screenshots"
VIEWPORTS = {
    "desktop": {"width": 1280, "height": 800},
    "phone": {"width": 375, "height": 667},
}


def find_chromium(playwrights_own: Path) -> str:
    """Return a Chromium; skip the test where there is none, and fail it in CI."""
    if found := shutil.which("chromium"):
        return found
    if playwrights_own.exists():
        return str(playwrights_own)
    reason = "no chromium on the PATH and none of Playwright's own"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Start Chromium without a window."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # its own sandbox refuses root
    async with async_playwright() as playwright:
        executable = find_chromium(Path(playwright.chromium.executable_path))
        browser = await playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def a_context(browser: Browser, **options: Any) -> AsyncIterator[BrowserContext]:
    """Open a context that takes the sandbox's certificate."""
    context = await browser.new_context(ignore_https_errors=True, **options)
    try:
        yield context
    finally:
        await context.close()


@dataclass
class Seen:
    """Everything that left the page, and everything that reached the merchant's server."""

    sent: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Keep each request of a page and its frames, and what it prints."""
        page.on("request", self._keep)
        page.on("console", lambda message: self.said.append(message.text))

    def _keep(self, request: Request) -> None:
        headers = str(request.headers)
        content = request.post_data_buffer or b""
        self.sent.append((request.method, request.url, headers, content))

    def text(self) -> bytes:
        """Return all of it."""
        parts = [
            *(f"{method} {url} {headers}".encode() for method, url, headers, _ in self.sent),
            *(content for *_, content in self.sent),
            *self.received,
            *(line.encode() for line in self.said),
        ]
        return b"\n".join(parts)


@asynccontextmanager
async def a_shop(mesh: Mesh, keys: Keys, seen: Seen) -> AsyncIterator[str]:
    """Open the demo shop and return its address."""
    status = mesh.status()

    @web.middleware
    async def keep(request: web.Request, handler: Any) -> web.StreamResponse:
        content = await request.read()
        head = f"{request.method} {request.path_qs} {dict(request.headers)}"
        seen.received.append(head.encode() + content)
        response: web.StreamResponse = await handler(request)
        return response

    async with MerchantClient(status["edge_url"], Path(status["ca_file"]), keys) as client:
        shop = Shop(client, status["edge_url"], keys.publishable_key)
        async with served(shop.app([keep])) as address:
            yield address


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on loopback and return its address."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
