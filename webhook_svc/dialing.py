"""Connections to merchants: every address is checked when it is dialled, whoever named it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from webhook_svc.domain.address import is_allowed_port, is_public

CONNECTIONS_MAX = 512
NAMES_KEPT_S = 10

OpenSocket = Callable[[Any], socket.socket]


class AddressBlocked(OSError):
    """The address is not public, or the port is not one for webhooks."""


def open_socket(address: Any) -> socket.socket:
    """Return a socket for what `getaddrinfo` says of an address."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def connector(
    *,
    allows_private: bool,
    resolver: AbstractResolver | None = None,
    open_socket: OpenSocket = open_socket,
) -> aiohttp.TCPConnector:
    """Return a pool of connections that reaches the public internet only.

    allows_private: reaches everything instead.
    resolver, open_socket: the world outside.

    A name is refused if one of its addresses is not public. The check before a socket is the one
    that counts: it sees what is dialled, addresses that stand in a URL too, which no resolver sees,
    and those that a name has got since it was resolved.
    """
    resolver = resolver or aiohttp.DefaultResolver()
    return aiohttp.TCPConnector(
        resolver=resolver if allows_private else _GuardedResolver(resolver),
        socket_factory=open_socket if allows_private else _guarded(open_socket),
        limit=CONNECTIONS_MAX,
        ttl_dns_cache=NAMES_KEPT_S,
    )


class _GuardedResolver(AbstractResolver):
    """Refuses a name with an address that is not public, whatever others it has."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises AddressBlocked, OSError."""
        found = await self._inner.resolve(host, port, family)
        for each in found:
            _check(each["host"], each["port"])
        return found

    async def close(self) -> None:
        """Let go of what the inner one holds."""
        await self._inner.close()


def _guarded(open_socket: OpenSocket) -> OpenSocket:
    def guarded(address: Any) -> socket.socket:
        host, port, *_ = address[4]
        _check(host, port)
        return open_socket(address)

    return guarded


def _check(host: str, port: int) -> None:
    if not is_public(host) or not is_allowed_port(port):
        raise AddressBlocked("the address is not public")
