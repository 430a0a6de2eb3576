"""The proxy before a card network: passes everything on, and fails only as it is told to."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chassis.certificates import client_context, server_context
from sandbox.networks.certificates import network_files, server_name
from sandbox.networks.proxy import Proxy, admin_app
from tests.integration.network_parts import network_tls

pytestmark = pytest.mark.integration

WAIT_S = 10
NETWORK = "visa_sim"


def _frame(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


@dataclass
class Echo:
    """A network of the simplest kind: keeps each byte that it gets and sends it back."""

    got: bytearray = field(default_factory=bytearray)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(1024):
            self.got += content
            writer.write(content)
        writer.close()


@dataclass(frozen=True, slots=True)
class Parts:
    """A proxy that runs, with what is behind it and who orders its faults."""

    echo: Echo
    proxy: Proxy
    port: int
    admin_url: str
    http: aiohttp.ClientSession

    async def order(self, **faults: Any) -> None:
        async with self.http.put(f"{self.admin_url}/faults", json=faults) as answer:
            assert answer.status == 200

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=client_context(network_files(network_tls(NETWORK), "acquirer")),
            server_hostname=server_name(NETWORK),
        )
        try:
            yield reader, writer
        finally:
            writer.close()


async def _until(happened: Callable[[], bool]) -> None:
    for _ in range(WAIT_S * 100):
        if happened():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    echo = Echo()
    own, proxied = (network_files(network_tls(NETWORK), party) for party in ("network", "proxy"))
    network = await asyncio.start_server(echo.serve, "127.0.0.1", 0, ssl=server_context(own))
    port = network.sockets[0].getsockname()[1]
    proxy = Proxy("127.0.0.1", port, proxied, server_name(NETWORK))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=server_context(proxied))
    runner = web.AppRunner(admin_app(proxy))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        admin_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Parts(echo, proxy, server.sockets[0].getsockname()[1], admin_url, http)
    proxy.cut()
    await runner.cleanup()
    server.close()
    network.close()


async def _read(reader: asyncio.StreamReader, content: bytes) -> None:
    """Read exactly this."""
    assert await asyncio.wait_for(reader.readexactly(len(content)), WAIT_S) == content


async def test_without_faults_every_byte_passes_in_both_directions(parts: Parts) -> None:
    sent = _frame("one") + _frame("two") + b"\x00\x09half"
    async with parts.client() as (reader, writer):
        writer.write(sent)
        await _read(reader, sent[:-6])
    await _until(lambda: bytes(parts.echo.got) == sent)


async def test_a_cut_ends_every_connection_and_new_ones_pass(parts: Parts) -> None:
    async with parts.client() as (reader, writer):
        writer.write(_frame("one"))
        await _read(reader, _frame("one"))

        async with parts.http.post(f"{parts.admin_url}/cut") as answer:
            assert (await answer.json())["counts"]["cut"] == 1

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), WAIT_S)
    async with parts.client() as (reader, writer):
        writer.write(_frame("two"))
        await _read(reader, _frame("two"))


async def test_refused_connections_end_at_once_and_open_ones_stay(parts: Parts) -> None:
    async with parts.client() as (reader, writer):
        writer.write(_frame("one"))
        await _read(reader, _frame("one"))
        await parts.order(refuses=True)

        async with parts.client() as (refused, _):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(refused.readexactly(1), WAIT_S)

        writer.write(_frame("two"))
        await _read(reader, _frame("two"))


async def test_what_is_held_arrives_in_order_when_the_hold_ends(parts: Parts) -> None:
    await parts.order(holds=True)
    async with parts.client() as (reader, writer):
        writer.write(_frame("one") + _frame("two"))
        await _until(lambda: parts.proxy.counts.frames == 2)
        assert not parts.echo.got

        await parts.order()

        await _read(reader, _frame("one") + _frame("two"))


async def test_what_a_client_that_went_away_had_sent_still_arrives_late(parts: Parts) -> None:
    await parts.order(holds=True)
    async with parts.client() as (_, writer):
        writer.write(_frame("one"))
        await _until(lambda: parts.proxy.counts.frames == 1)

    await parts.order()

    await _until(lambda: bytes(parts.echo.got) == _frame("one"))


@pytest.mark.parametrize("direction", ["requests", "responses"])
async def test_delayed_frames_arrive_later_and_together(parts: Parts, direction: str) -> None:
    await parts.order(**{direction: {"delay_ms": 200}})
    async with parts.client() as (reader, writer):
        started_at = time.monotonic()
        writer.write(_frame("one") + _frame("two"))

        await _read(reader, _frame("one") + _frame("two"))

        assert time.monotonic() - started_at >= 0.2


@pytest.mark.parametrize("direction", ["requests", "responses"])
async def test_every_second_frame_comes_twice(parts: Parts, direction: str) -> None:
    await parts.order(**{direction: {"duplicate_every": 2}})
    async with parts.client() as (reader, writer):
        writer.write(_frame("one") + _frame("two") + _frame("three"))

        await _read(reader, _frame("one") + _frame("two") * 2 + _frame("three"))


@pytest.mark.parametrize("direction", ["requests", "responses"])
async def test_every_second_frame_is_dropped_whole(parts: Parts, direction: str) -> None:
    await parts.order(**{direction: {"drop_every": 2}})
    async with parts.client() as (reader, writer):
        writer.write(_frame("one") + _frame("two") + _frame("three"))

        await _read(reader, _frame("one") + _frame("three"))


async def test_an_unknown_fault_is_refused_by_name(parts: Parts) -> None:
    async with parts.http.put(f"{parts.admin_url}/faults", json={"explodes": True}) as answer:
        assert answer.status == 400
        assert "explodes" in await answer.text()
