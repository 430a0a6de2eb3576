"""Where card networks leave their files: a folder or a bucket, named by a URL; only read.

obstore reads a bucket's address and credentials from the environment; nothing here knows them.
"""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import from_url

from chassis.errors import ServiceUnavailable
from recon_svc.domain.clearing_file import InboxFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import RetryConfig

# Short: who looks into the inbox does so again soon, and has to be able to stop.
RETRY: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


class InboxUnavailable(ServiceUnavailable):
    """The folder or bucket can't be read now."""

    def __init__(self) -> None:
        super().__init__("The inbox of clearing files can't be read now.")


class FileChanged(Exception):
    """A file is not any more what was listed. The next listing has it as it is then."""


class HashedFile(io.RawIOBase):
    """A file as it is read, a part at a time, with the hash of what was read.

    Every part is of the version that was listed.
    """

    def __init__(self, store: Any, file: InboxFile) -> None:
        self._store = store
        self._file = file
        self._place = 0
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read on. Raises InboxUnavailable, FileChanged."""
        target = memoryview(buffer)
        end = min(self._place + len(target), self._file.size_bytes)
        if self._place == end:
            return 0
        data = self._part(self._place, end)
        self._place = end
        self._hash.update(data)
        target[: len(data)] = data
        return len(data)

    def sha256(self) -> str:
        """Return the hash of what was read so far."""
        return self._hash.hexdigest()

    def _part(self, start: int, end: int) -> memoryview:
        options: obstore.GetOptions = {"range": (start, end), "if_match": self._file.version}
        try:
            found = obstore.get(self._store, self._file.name, options=options)
            return memoryview(found.bytes())
        except (PreconditionError, FileNotFoundError) as changed:
            raise FileChanged from changed
        except (BaseError, OSError) as away:
            raise InboxUnavailable from away


class Inbox:
    """Lists and opens files. url: "file:///…" or what else obstore knows, "s3://bucket/prefix"."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Any = None

    def files(self) -> list[InboxFile]:
        """Return the whole files in the inbox, not those in folders inside it.

        One whose name begins with a dot is unfinished. Raises InboxUnavailable.
        """
        try:
            if self._store is None:
                self._store = from_url(self._url, retry_config=RETRY)
            listed = obstore.list_with_delimiter(self._store)["objects"]
        except (BaseError, OSError) as away:
            raise InboxUnavailable from away
        found = [_inbox_file(row) for row in listed if not row["path"].startswith(".")]
        return sorted(found, key=lambda file: (file.written, file.name))

    def open(self, file: InboxFile) -> HashedFile:
        """Return a file to be read."""
        return HashedFile(self._store, file)


def _inbox_file(row: obstore.ObjectMeta) -> InboxFile:
    version = row["e_tag"]
    if version is None:
        raise TypeError("what holds an inbox has to tell the versions of a file apart")
    return InboxFile(row["path"], version, row["size"], row["last_modified"])
