"""Frames on a connection: 2 bytes of length, big-endian and not counting themselves."""

from __future__ import annotations

import asyncio
import struct

FRAME_BYTES_MAX = 2048


class FrameInvalid(ConnectionError):
    """A length that can't be: the stream is out of step and the connection of no more use."""


def frame(message: bytes) -> bytes:
    """Return the message as it goes onto the connection."""
    return struct.pack(">H", len(message)) + message


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next message. Raises FrameInvalid, or IncompleteReadError at the end."""
    (length,) = struct.unpack(">H", await reader.readexactly(2))
    if not 0 < length <= FRAME_BYTES_MAX:
        raise FrameInvalid(f"a frame of {length} bytes")
    return await reader.readexactly(length)
