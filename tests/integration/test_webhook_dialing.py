"""What the sender of webhooks really connects to, over real sockets; the world outside is faked."""

from __future__ import annotations

import asyncio
import gzip
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from chassis.ids import MerchantId
from tests.fakes import FakeClock
from tests.webhook_urls import BAD_URLS, PRIVATE
from webhook_svc.dialing import AddressBlocked, connector
from webhook_svc.domain.delivery import Try
from webhook_svc.domain.signature import new_secret
from webhook_svc.sender import RESPONSE_BYTES_MAX, Sender
from webhook_svc.store.queue import Claim

pytestmark = pytest.mark.integration

NAME = "https://shop.example/hook"
OUTSIDE = "8.8.8.8"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Internet(AbstractResolver):
    """The world outside: names with addresses that change, and hosts that hang up on everybody.

    answers: what the name resolves to, one after the other; the last one stays.
    dialled: every address that a connection was opened to.
    """

    def __init__(self, port: int, *answers: list[str]) -> None:
        self._port = port
        self._answers = list(answers)
        self.dialled: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 aiohttp gives it
    ) -> list[ResolveResult]:
        """Return what the name has now."""
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Hold nothing."""

    def open_socket(self, address: Any) -> socket.socket:
        """Return a socket that reaches a port of this machine wherever it is connected to."""
        self.dialled.append(address[4][0])
        made = _Redirected(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.port = self._port
        return made


class _Redirected(socket.socket):
    port = 0

    def connect(self, address: Any) -> None:  # noqa: ARG002 the real one is not for tests
        super().connect(("127.0.0.1", self.port))


@asynccontextmanager
async def _answering(answer: Answer) -> AsyncIterator[int]:
    """Serve this on loopback and return the port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.fixture
async def hosts() -> AsyncIterator[int]:
    """Return the port of a host that hangs up."""
    async with _answering(_hang_up) as port:
        yield port


@asynccontextmanager
async def _sender(
    pool: aiohttp.TCPConnector, *, allows_private: bool, total_s: float = 10
) -> AsyncIterator[Sender]:
    sender = Sender(
        FakeClock(datetime.now(UTC)), pool, allows_private=allows_private, total_s=total_s
    )
    try:
        yield sender
    finally:
        await sender.close()


def _claim(url: str) -> Claim:
    return Claim(
        MerchantId("mer_1"),
        *("dlv_1", "we_1", "evt_1", uuid.uuid4()),
        tries=0,
        first_at=None,
        url=url,
        body=b"{}",
        secrets=(new_secret(),),
    )


async def _send(internet: Internet, url: str, count: int = 1) -> list[Try]:
    """Send this as in production, each time after the resolver's answer was forgotten."""
    pool = connector(allows_private=False, resolver=internet, open_socket=internet.open_socket)
    made = []
    async with _sender(pool, allows_private=False) as sender:
        for _ in range(count):
            made.append(await sender.send(_claim(url)))
            pool.clear_dns_cache()
    return made


async def test_a_name_that_moves_inside_is_not_followed(hosts: int) -> None:
    internet = Internet(hosts, [OUTSIDE], ["10.0.0.1"])

    first, second = await _send(internet, NAME, 2)

    assert first.error not in {None, "blocked_address"}
    assert second.error == "blocked_address"
    assert internet.dialled == [OUTSIDE]


@pytest.mark.parametrize(("rule", "address"), PRIVATE)
async def test_a_name_with_one_address_inside_is_refused_whatever_others_it_has(
    hosts: int, rule: str, address: str
) -> None:
    internet = Internet(hosts, [OUTSIDE, address], [address, OUTSIDE], [address])

    made = await _send(internet, NAME, 3)

    assert [each.error for each in made] == ["blocked_address"] * 3, rule
    assert internet.dialled == []


@pytest.mark.parametrize(("rule", "address"), PRIVATE)
async def test_what_is_dialled_is_checked_whoever_named_it(
    hosts: int, rule: str, address: str
) -> None:
    """A literal address never meets the resolver, nor do we rely on the URL's check here."""
    internet = Internet(hosts, [OUTSIDE])
    pool = connector(allows_private=False, resolver=internet, open_socket=internet.open_socket)
    literal = f"[{address.replace('%', '%25')}]" if ":" in address else address

    async with aiohttp.ClientSession(connector=pool, trust_env=False) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await session.post(f"http://{literal}:8080/")

    assert isinstance(refused.value.os_error, AddressBlocked), rule
    assert internet.dialled == []


@pytest.mark.parametrize("port", [22, 25, 80])
async def test_no_port_of_a_service_with_privileges_is_dialled(hosts: int, port: int) -> None:
    internet = Internet(hosts, [OUTSIDE])
    pool = connector(allows_private=False, resolver=internet, open_socket=internet.open_socket)

    async with aiohttp.ClientSession(connector=pool, trust_env=False) as session:
        for host in ("shop.example", OUTSIDE):
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await session.post(f"http://{host}:{port}/")
            assert isinstance(refused.value.os_error, AddressBlocked)

    assert internet.dialled == []


@pytest.mark.parametrize(("rule", "url", "reason"), BAD_URLS)
async def test_an_endpoint_that_is_older_than_a_rule_is_not_called(
    hosts: int, rule: str, url: str, reason: str
) -> None:
    internet = Internet(hosts, [OUTSIDE])

    [made] = await _send(internet, url)

    assert (made.error, made.http_status) == ("blocked_address", None), rule
    assert internet.dialled == []


async def test_a_public_address_is_dialled(hosts: int) -> None:
    for url in (NAME, f"https://{OUTSIDE}/", "https://shop.example:8443/"):
        internet = Internet(hosts, [OUTSIDE])

        [made] = await _send(internet, url)

        assert internet.dialled == [OUTSIDE]
        assert made.error in {"connect", "tls", "protocol"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    asked: list[bytes] = []

    async def inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(OK)
        writer.close()

    async with _answering(inside) as secret_port:
        head = f"HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:{secret_port}/\r\n"

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"{head}content-length: 0\r\n\r\n".encode())
            writer.close()

        async with (
            _answering(redirect) as port,
            _sender(connector(allows_private=True), allows_private=True) as sender,
        ):
            made = await sender.send(_claim(f"http://127.0.0.1:{port}/"))

    assert (made.http_status, made.is_success) == (status, False)
    assert asked == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(OK)
        writer.close()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async with _answering(proxy) as proxy_port, _answering(receive) as port:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with _sender(connector(allows_private=True), allows_private=True) as sender:
            made = await sender.send(_claim(f"http://127.0.0.1:{port}/"))

    assert made.http_status == 200
    assert asked == []


async def test_an_answer_without_an_end_is_read_up_to_the_limit() -> None:
    written = asyncio.get_running_loop().create_future()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            written.set_result(None)
        finally:
            writer.close()

    async with (
        _answering(pour) as port,
        _sender(connector(allows_private=True), allows_private=True) as sender,
    ):
        made = await sender.send(_claim(f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(written, 30)  # the sender hung up

    assert made.http_status == 200
    assert made.response is not None
    assert len(made.response) <= RESPONSE_BYTES_MAX


async def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b"unpacked" * 100)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"

    async def pack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + packed)
        writer.close()

    async with (
        _answering(pack) as port,
        _sender(connector(allows_private=True), allows_private=True) as sender,
    ):
        made = await sender.send(_claim(f"http://127.0.0.1:{port}/"))

    assert made.http_status == 200
    assert made.response
    assert "unpackedunpacked" not in made.response


async def test_an_answer_that_comes_in_drops_ends_with_the_time_for_all_of_it() -> None:
    hung_up = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nx: ")
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            hung_up.set()
            writer.close()

    async with (
        _answering(drip) as port,
        _sender(connector(allows_private=True), allows_private=True, total_s=0.3) as sender,
    ):
        made = await sender.send(_claim(f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(hung_up.wait(), 30)

    assert (made.error, made.http_status) == ("timeout", None)


async def test_a_name_that_is_never_resolved_ends_with_the_same_time(hosts: int) -> None:
    class Silent(Internet):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            await asyncio.Event().wait()
            return await super().resolve(host, port, family)

    pool = connector(allows_private=False, resolver=Silent(hosts, [OUTSIDE]))
    async with _sender(pool, allows_private=False, total_s=0.3) as sender:
        made = await sender.send(_claim(NAME))

    assert made.error == "timeout"
