"""Where card networks leave their files: a folder or a bucket, named by a URL; only read."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from chassis.errors import ServiceUnavailable
from recon_svc.domain.clearing_file import InboxFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FILES_AT_ONCE = 1000
BUFFER_BYTES = 1 << 20


class InboxUnavailable(ServiceUnavailable):
    """The folder or bucket can't be read now."""

    def __init__(self) -> None:
        super().__init__("The inbox of clearing files can't be read now.")


class HashedFile(io.RawIOBase):
    """A file as it is read, with the hash of what was read."""

    def __init__(self, source: obstore.ReadableFile) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read on. Raises InboxUnavailable."""
        target = memoryview(buffer)
        try:
            data = bytes(self._source.read(len(target)))
        except (BaseError, OSError) as away:
            raise InboxUnavailable from away
        self._hash.update(data)
        target[: len(data)] = data
        return len(data)

    def sha256(self) -> str:
        """Return the hash of what was read so far."""
        return self._hash.hexdigest()


class Inbox:
    """Lists and opens files. url: "file:///…" or what else obstore knows, "s3://bucket/prefix"."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Any = None

    def files(self) -> list[InboxFile]:
        """Return the whole files in the inbox, not those in folders inside it.

        One whose name begins with a dot is unfinished. Raises InboxUnavailable.
        """
        found = []
        try:
            if self._store is None:
                self._store = from_url(self._url)
            for page in obstore.list(self._store, chunk_size=FILES_AT_ONCE):
                found += [_inbox_file(row) for row in page if _is_whole(row["path"])]
        except (BaseError, OSError) as away:
            raise InboxUnavailable from away
        return sorted(found, key=lambda file: (file.written, file.name))

    def open(self, file: InboxFile) -> HashedFile:
        """Return a file to be read. Raises InboxUnavailable."""
        try:
            reader = obstore.open_reader(self._store, file.name, buffer_size=BUFFER_BYTES)
        except (BaseError, OSError) as away:
            raise InboxUnavailable from away
        return HashedFile(reader)


def _is_whole(path: str) -> bool:
    return "/" not in path and not path.startswith(".")


def _inbox_file(row: obstore.ObjectMeta) -> InboxFile:
    written = row["last_modified"]
    version = row["e_tag"] or f"{row['size']}-{written.timestamp()}"
    return InboxFile(row["path"], version, row["size"], written)
