"""A service that breaks off each call once it has read it, which a gRPC library never does."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from pathlib import Path

# RFC 9113: types and flags of frames, and the reasons of RST_STREAM.
PREFACE_BYTES, HEAD_BYTES = 24, 9
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 1
END_HEADERS = 4
# RFC 7541: ":status: 200" and "content-type: application/grpc", then "grpc-status: 0".
GRPC_HEADERS = b"\x88\x0f\x10\x10application/grpc"
GRPC_TRAILERS = b"\x00\x0bgrpc-status\x010"
SERVING = b"\x00\x00\x00\x00\x02\x08\x01"


class Reset(IntEnum):
    """How a call ends: with this reason, or together with its connection."""

    INTERNAL_ERROR = 2
    REFUSED_STREAM = 7
    CONNECTION = -1


class ResetBackend:
    """Passes health checks, and counts the calls that it read to their end and broke off."""

    def __init__(self, reset: Reset) -> None:
        self._reset = reset
        self.port = 0
        self.calls = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak as much HTTP/2 as Envoy needs to hear."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(PREFACE_BYTES)
            writer.write(_frame(SETTINGS))
            messages: dict[int, bytes] = {}
            while True:
                head = await reader.readexactly(HEAD_BYTES)
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
                payload = await reader.readexactly(int.from_bytes(head[:3]))
                if kind in {SETTINGS, PING} and not flags & ACK:
                    writer.write(_frame(kind, ACK, payload=payload if kind == PING else b""))
                elif kind == DATA:
                    messages[stream] = messages.get(stream, b"") + payload
                    if flags & END_STREAM:
                        self._answer(stream, messages.pop(stream), writer)
        writer.close()

    def _answer(self, stream: int, message: bytes, writer: asyncio.StreamWriter) -> None:
        if b"PaymentIntentService" in message:  # only a health check names the service
            writer.write(_frame(HEADERS, END_HEADERS, stream, GRPC_HEADERS))
            writer.write(_frame(DATA, 0, stream, SERVING))
            writer.write(_frame(HEADERS, END_HEADERS | END_STREAM, stream, GRPC_TRAILERS))
            return
        self.calls += 1
        if self._reset is Reset.CONNECTION:
            writer.transport.abort()
        else:
            writer.write(_frame(RST_STREAM, 0, stream, self._reset.to_bytes(4)))


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@asynccontextmanager
async def running_reset_backend(tls: Path, reset: Reset) -> AsyncIterator[ResetBackend]:
    """Serve with the certificate of the service that it stands in for."""
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls / "ca.crt"))
    trust.verify_mode = ssl.CERT_REQUIRED
    trust.load_cert_chain(tls / "intent.crt", tls / "intent.key")
    trust.set_alpn_protocols(["h2"])
    backend = ResetBackend(reset)
    server = await asyncio.start_server(backend.connected, "127.0.0.1", 0, ssl=trust)
    backend.port = server.sockets[0].getsockname()[1]
    try:
        yield backend
    finally:
        server.close()
        await server.wait_closed()
