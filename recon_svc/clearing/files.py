"""Reads a clearing file of any network, with bounded memory, on several processes."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from recon_svc.clearing import ipm, tc33
from recon_svc.clearing.check import FileCheck
from recon_svc.clearing.records import Parsed, Unit
from recon_svc.domain.clearing import FileHeader, FileItem, FileTotals

UNITS_AT_ONCE = 500
CHUNKS_IN_FLIGHT_MAX = 8


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is taken apart: here into units, then each unit, wherever that is done."""

    units: Callable[[BinaryIO], Iterator[Unit]]
    parse: Callable[[Unit], Parsed]


FORMATS: dict[str, Format] = {
    "visa_sim": Format(tc33.units, tc33.parse),
    "mastercard_sim": Format(ipm.units, ipm.parse),
}


def parser_pool(processes: int) -> ProcessPoolExecutor:
    """Return processes that parse. They are not forked: gRPC's threads would be in an odd state."""
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def read_file(network: str, stream: BinaryIO, workers: Executor) -> Generator[FileItem, None, None]:
    """Return a FileHeader, each ClearingLine or LineRejected in order, then the FileTotals.

    A file's totals come last: until the FileTotals are there, the file may still turn out to be
    truncated or wrong, so nothing of it may be applied before. Call `verify` first and read again,
    or keep the lines aside and apply them after the end. Raises FileRejected at any item.

    stream: its `read` gives fewer bytes than asked only at the end, as buffered files do.
    """
    check = FileCheck(network)
    form = FORMATS[network]
    for parsed in _parse_in_order(form.units(stream), form.parse, workers):
        yield from check.accept(parsed)
    yield check.finish()


def verify(network: str, stream: BinaryIO, workers: Executor) -> tuple[FileHeader, FileTotals]:
    """Return what a file says about itself, after reading all of it. Raises FileRejected."""
    ends = [
        item
        for item in read_file(network, stream, workers)
        if isinstance(item, FileHeader | FileTotals)
    ]
    match ends:
        case [FileHeader() as header, FileTotals() as totals]:
            return header, totals
    raise AssertionError("a file that ties out has a header and totals")


def _parse_in_order(
    units: Iterator[Unit], parse: Callable[[Unit], Parsed], workers: Executor
) -> Iterator[Parsed]:
    in_flight: deque[Future[list[Parsed]]] = deque()
    try:
        while chunk := list(islice(units, UNITS_AT_ONCE)):
            in_flight.append(workers.submit(_parse_chunk, parse, chunk))
            if len(in_flight) == CHUNKS_IN_FLIGHT_MAX:
                yield from in_flight.popleft().result()
        while in_flight:
            yield from in_flight.popleft().result()
    finally:
        for future in in_flight:
            future.cancel()


def _parse_chunk(parse: Callable[[Unit], Parsed], chunk: list[Unit]) -> list[Parsed]:
    return [parse(unit) for unit in chunk]
