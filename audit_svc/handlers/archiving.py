"""Puts a partition into the archive, file after file. The archive itself says where to go on.

Two facts are made once, by conditional puts, and everything else follows from them:

- The file that begins at an offset. Who comes second, another process or the same after a crash,
  finds how far it reaches and goes by that, whatever he would have done himself.
- The manifest of a number. Who comes second finds that it says what his would have said.

So any number of processes may archive a partition at once, and die anywhere, and the archive is the
same as if one had done it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from audit_svc.domain.manifest import (
    Beside,
    Head,
    Manifest,
    data_folder,
    data_name,
    manifest_name,
    payload_of,
    read_manifest,
    sha256,
    signed,
)
from audit_svc.domain.record import Place, Record
from audit_svc.store.archive import AlreadyThere, Archive
from audit_svc.store.parquet import Span, file_span, read_records, to_parquet
from chassis.clock import Clock
from chassis.keystore.store import KeyStore

LOG = logging.getLogger(__name__)


class ArchiveDiffers(Exception):
    """What is in the archive is not what Kafka has; a person has to look at it."""


@dataclass
class Archiving:
    """What the archivers of a process share. newest: the manifest that it wrote last."""

    archive: Archive
    keys: KeyStore[Any]
    clock: Clock
    newest: Beside | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Begun:
    """A file that is in the archive and has no manifest yet."""

    raw: bytes
    span: Span
    records: Sequence[Record]


class PartitionArchiver:
    """One partition: what was read of it and stands in no manifest yet.

    Used by one thread. Any call may raise ArchiveUnavailable; make another one then.
    """

    def __init__(self, shared: Archiving, place: Place) -> None:
        """Find where the archive ends."""
        self.place = place
        self._shared = shared
        self._records: list[Record] = []
        self._size_bytes = 0
        self._read_from = 0
        self._head = find_head(shared, place)
        self._begun = self._find_begun()

    @property
    def position(self) -> int:
        """The offset to read next."""
        if self._records:
            return self._records[-1].offset + 1
        return max(self._start, self._read_from)

    @property
    def archived(self) -> int:
        """The offset up to which everything is archived, itself not included."""
        return self._head.end if self._head else 0

    @property
    def pending(self) -> int:
        """How many records were read and are not archived."""
        return len(self._records)

    @property
    def size_bytes(self) -> int:
        """How large they are."""
        return self._size_bytes

    @property
    def is_begun_file_read(self) -> bool:
        """Whether a file without a manifest waits for nothing but that."""
        return self._begun is not None and self.position >= self._begun.span.end

    def begin_at(self, offset: int) -> None:
        """Take note that Kafka has nothing before an offset any more.

        What it deleted before it was archived is missing for ever, and the chain shows it.
        """
        if offset <= self._start:
            return
        if self._head is not None:
            LOG.error(
                "Kafka deleted records that were not archived",
                extra={"place": str(self.place), "archived": self.archived, "begins": offset},
            )
        self._read_from = offset

    def take(self, records: Sequence[Record]) -> None:
        """Take the next records, in order."""
        if records[0].offset < self.position:
            raise ValueError(f"{self.place}: offset {records[0].offset} comes again")
        self._records += records
        self._size_bytes += sum(len(record.value or b"") for record in records)

    def write(self) -> bool:
        """Archive what was read; return whether anything was.

        If a file is there that begins where this would, nothing is until all of it was read.
        """
        if self._begun is None:
            self._begun = self._begin()
        begun = self._begun
        if begun is None or self.position < begun.span.end:
            return False
        rest = [record for record in self._records if record.offset >= begun.span.end]
        self._check(begun, self._records[: len(self._records) - len(rest)])
        self._head = self._seal(begun)
        self._records, self._begun = rest, None
        self._size_bytes = sum(len(record.value or b"") for record in rest)
        return True

    @property
    def _start(self) -> int:
        return self._begun.span.start if self._begun else self.archived

    def _begin(self) -> Begun | None:
        """Make the next file, or find the one that somebody else has made."""
        if not self._records:
            return None
        span = Span(max(self.archived, self._read_from), self._records[-1].offset + 1)
        raw = to_parquet(self._records, span)
        try:
            self._shared.archive.create(data_name(self.place, span.start), raw)
        except AlreadyThere:
            return self._find_begun()
        return Begun(raw, span, self._records)

    def _find_begun(self) -> Begun | None:
        """Return the file that comes after the last manifest, if it is there."""
        archive = self._shared.archive
        name = archive.first_from(data_folder(self.place), data_name(self.place, self.archived))
        raw = None if name is None else archive.get(name)
        return None if raw is None else Begun(raw, file_span(io.BytesIO(raw)), read_records(raw))

    def _check(self, begun: Begun, read: Sequence[Record]) -> None:
        """Raise ArchiveDiffers unless the file holds what Kafka has, as far as Kafka has it."""
        found = [record for record in begun.records if record.offset >= self._read_from]
        if found != read:
            raise ArchiveDiffers(f"{data_name(self.place, begun.span.start)} is not what Kafka has")

    def _seal(self, begun: Begun) -> Head:
        """Write the manifest of a file, or find the one that somebody else wrote."""
        manifest = self._manifest(begun)
        name = manifest_name(self.place, manifest.number)
        payload = payload_of(manifest)
        raw = signed(payload, self._shared.keys.sign(payload))
        try:
            self._shared.archive.create(name, raw)
        except AlreadyThere:
            raw, there = self._read(name)
            if there.covers != manifest.covers:
                raise ArchiveDiffers(f"{name} is of another file") from None
        digest = sha256(raw)
        place = self.place
        self._shared.newest = Beside(place.topic, place.partition, manifest.number, digest)
        return Head(manifest.number, digest, manifest.end)

    def _read(self, name: str) -> tuple[bytes, Manifest]:
        raw = self._shared.archive.get(name) or b""
        keys = {key.kid: key for key in self._shared.keys.verification_keys()}
        return raw, read_manifest(raw, keys)

    def _manifest(self, begun: Begun) -> Manifest:
        records, beside = begun.records, self._shared.newest
        if beside is not None and Place(beside.topic, beside.partition) == self.place:
            beside = None
        return Manifest(
            topic=self.place.topic,
            partition=self.place.partition,
            number=self._head.number + 1 if self._head else 1,
            file=data_name(self.place, begun.span.start),
            sha256=sha256(begun.raw),
            size_bytes=len(begun.raw),
            start=begun.span.start,
            end=begun.span.end,
            records=len(records),
            first_timestamp_ms=records[0].timestamp_ms,
            last_timestamp_ms=records[-1].timestamp_ms,
            archived_ms=int(self._shared.clock.now().timestamp() * 1000),
            previous=self._head.sha256 if self._head else None,
            beside=beside,
        )


def find_head(shared: Archiving, place: Place) -> Head | None:
    """Return the last manifest of a partition."""
    number = count_manifests(shared.archive, place)
    if number == 0:
        return None
    raw = shared.archive.get(manifest_name(place, number)) or b""
    keys = {key.kid: key for key in shared.keys.verification_keys()}
    manifest = read_manifest(raw, keys)
    return Head(manifest.number, sha256(raw), manifest.end)


def count_manifests(archive: Archive, place: Place) -> int:
    """Return how many manifests a partition has, in a few looks however many there are."""
    if not archive.has(manifest_name(place, 1)):
        return 0
    there, missing = 1, 2
    while archive.has(manifest_name(place, missing)):
        there, missing = missing, missing * 2
    while missing - there > 1:
        middle = (there + missing) // 2
        if archive.has(manifest_name(place, middle)):
            there = middle
        else:
            missing = middle
    return there
