"""Where the archive lies: a folder or a bucket, named by a URL. What is written once stays.

obstore reads a bucket's address and credentials from the environment; nothing here knows them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from chassis.errors import ServiceUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import RetryConfig

# Short: who archives tries again soon, and has to be able to stop.
END_BYTES = 65_536  # of a file hold what says what is where, and the filter of its keys
RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


class ArchiveUnavailable(ServiceUnavailable):
    """The folder or bucket can't be reached, or is full."""

    def __init__(self) -> None:
        super().__init__("The archive can't be reached now.")


class AlreadyThere(Exception):
    """A file of that name was written before; it stays as it is."""


class FileInParts(io.RawIOBase):
    """A file of which its end is fetched, and else what is asked for. Raises ArchiveUnavailable."""

    def __init__(self, store: Any, name: str, size_bytes: int) -> None:
        self._store = store
        self._name = name
        self._size_bytes = size_bytes
        self._place = 0
        self._end_at = max(0, size_bytes - END_BYTES)
        self._end = self._fetched(self._end_at, size_bytes) if size_bytes else memoryview(b"")

    def readable(self) -> bool:
        """Be read."""
        return True

    def seekable(self) -> bool:
        """Be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size_bytes}
        self._place = begin[whence] + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read on."""
        target = memoryview(buffer).cast("B")
        end = min(self._place + len(target), self._size_bytes)
        if self._place >= end:
            return 0
        if self._place >= self._end_at:
            part = self._end[self._place - self._end_at : end - self._end_at]
        else:
            part = self._fetched(self._place, end)
        target[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _fetched(self, start: int, end: int) -> memoryview:
        with _told_when_away():
            return memoryview(obstore.get_range(self._store, self._name, start=start, end=end))


class Archive:
    """Files by name, each written once. url: "file:///…" or what obstore knows, "s3://bucket/…".

    May be used from any thread. Every call may raise ArchiveUnavailable.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: Any = None

    def create(self, name: str, raw: bytes) -> None:
        """Write a file that is not there yet, whole or not at all. Raises AlreadyThere."""
        try:
            with _told_when_away():
                obstore.put(self._store, name, raw, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            raise AlreadyThere(name) from None

    def get(self, name: str) -> bytes | None:
        """Return a file's content, or None if it is not there."""
        try:
            with _told_when_away():
                return obstore.get(self._store, name).bytes().to_bytes()
        except FileNotFoundError:
            return None

    def open(self, name: str, size_bytes: int) -> FileInParts:
        """Return a file that is there and so large, to be read in parts."""
        return FileInParts(self._store, name, size_bytes)

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        try:
            with _told_when_away():
                obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str = "") -> list[str]:
        """Return the names of all files in a folder and below it, in order."""
        return list(self.sizes(folder))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the names of the same with how many bytes they have, in order."""
        return dict(sorted(self._listed(folder)))

    def first_from(self, folder: str, name: str) -> str | None:
        """Return the first file of a folder that is this one or comes after it."""
        before = name.rpartition(".")[0]  # what a listing begins after is not in it
        return min((found for found, _ in self._listed(folder, before)), default=None)

    def _listed(self, folder: str, before: str | None = None) -> Iterator[tuple[str, int]]:
        with _told_when_away():
            listed = obstore.list(self._store, folder or None, offset=before, chunk_size=1000)
            for rows in listed:
                yield from ((row["path"], row["size"]) for row in rows)

    @property
    def _store(self) -> Any:
        if self._opened is None:
            self._opened = from_url(self._url, retry_config=RETRY)
        return self._opened


@contextmanager
def _told_when_away() -> Iterator[None]:
    try:
        yield
    except (AlreadyExistsError, PreconditionError, FileNotFoundError):
        raise
    except (BaseError, OSError) as away:
        raise ArchiveUnavailable from away
