"""The reader keeps no file in memory, however large it is."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from itertools import count, islice
from typing import BinaryIO, cast

import pytest

from recon_svc.clearing.files import CHUNKS_IN_FLIGHT_MAX, UNITS_AT_ONCE, read_file
from recon_svc.domain.clearing import ClearingLine
from tests.unit.clearing.files import IPM, TC33, a_file, put, tcrs

FILE_BYTES = 2 * 1024**3
AHEAD_LINES_MAX = (CHUNKS_IN_FLIGHT_MAX + 1) * UNITS_AT_ONCE
AHEAD_MEMORY_MAX = 16 * 1024**2
GROWTH_MAX = 256 * 1024


class Served:
    """A file of 2 GB that is made while it is read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._buffer = b""
        self.served = 0

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and self.served < FILE_BYTES:
            self._buffer += next(self._parts)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        self.served += len(data)
        return data


def tc33_parts() -> Iterator[bytes]:
    header, first, second, *_ = tcrs(a_file(TC33))
    yield header.encode("ascii")
    for number in count(2):
        pair = [put(tcr, 21, f"{number:015d}") for tcr in (first, second)]
        yield "".join(pair).encode("ascii")


def ipm_parts() -> Iterator[bytes]:
    records = ipm_records()
    buffer = b""
    while True:
        while len(buffer) < 1012:
            record = next(records)
            buffer += struct.pack(">I", len(record)) + record
        yield buffer[:1012] + b"\x40\x40"
        buffer = buffer[1012:]


def ipm_records() -> Iterator[bytes]:
    raw = a_file(IPM)[:1012]
    (length,) = struct.unpack_from(">I", raw)
    yield raw[4 : 4 + length]
    (next_length,) = struct.unpack_from(">I", raw, 4 + length)
    line = raw[8 + length : 8 + length + next_length]
    for number in count(2):
        yield line[:-8] + f"{number:08d}".encode("cp500")  # DE71 stands last


@pytest.mark.parametrize(
    ("network", "parts", "line_bytes"), [(TC33, tc33_parts, 336), (IPM, ipm_parts, 180)]
)
def test_a_file_of_2_gb_is_read_a_little_at_a_time(
    network: str, parts: Callable[[], Iterator[bytes]], line_bytes: int, workers: Executor
) -> None:
    stream = Served(parts())
    items = read_file(network, cast("BinaryIO", stream), workers)
    tracemalloc.start()
    try:
        read = sum(isinstance(item, ClearingLine) for item in islice(items, 2 * UNITS_AT_ONCE))
        before, _ = tracemalloc.get_traced_memory()
        more = islice(items, 2 * UNITS_AT_ONCE)
        read += sum(isinstance(item, ClearingLine) for item in more)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        items.close()

    buffer_bytes = 1014 * 400
    assert read == 4 * UNITS_AT_ONCE - 1
    assert stream.served <= (read + AHEAD_LINES_MAX) * line_bytes + buffer_bytes
    assert after - before < GROWTH_MAX
    assert peak < AHEAD_MEMORY_MAX
