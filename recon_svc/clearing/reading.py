"""Reads one file of the inbox in sets, without making the event loop wait."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice
from typing import TypeVar

from recon_svc.clearing.files import parser_pool, read_file
from recon_svc.clearing.inbox import HashedFile, Inbox, InboxUnavailable
from recon_svc.domain.clearing import FileHeader, FileItem
from recon_svc.domain.clearing_file import InboxFile

ITEMS_AT_ONCE = 5000
PARSERS = 2
SMALL_BYTES = 2_000_000  # parsed sooner than processes are started

T = TypeVar("T")


class Reading:
    """A file that is being read. Make it by `reading`."""

    def __init__(self, network: str, file: HashedFile, workers: Executor, thread: Executor) -> None:
        self._file = file
        # A buffered file gives fewer bytes than asked only at its end.
        stream = io.BufferedReader(file, buffer_size=1 << 20)
        self._items = read_file(network, stream, workers)
        self._thread = thread

    async def header(self) -> FileHeader:
        """Return what the file says first. Raises FileRejected, FileChanged, InboxUnavailable."""
        [first] = await self._run(lambda: list(islice(self._items, 1)))
        if not isinstance(first, FileHeader):
            raise TypeError("a file begins with its header")
        return first

    async def sets(self) -> AsyncIterator[list[FileItem]]:
        """Return the rest, some thousand items at a time. Raises as `header` does."""
        while items := await self._run(lambda: list(islice(self._items, ITEMS_AT_ONCE))):
            yield items

    def sha256(self) -> str:
        """Return the hash of what was read so far."""
        return self._file.sha256()

    async def close(self) -> None:
        """Read no further."""
        await self._run(self._items.close)

    async def _run(self, step: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except BrokenExecutor as died:  # a parser was killed; the file is read again
            raise InboxUnavailable from died


@asynccontextmanager
async def reading(network: str, inbox: Inbox, file: InboxFile) -> AsyncIterator[Reading]:
    """Read a file as one of this network."""
    workers: Executor = (
        ThreadPoolExecutor(1) if file.size_bytes < SMALL_BYTES else parser_pool(PARSERS)
    )
    with ThreadPoolExecutor(1) as thread, workers:
        read = Reading(network, inbox.open(file), workers, thread)
        try:
            yield read
        finally:
            await read.close()
