"""Proves the archive: every file against its manifest, every manifest against those around it.

Needs nothing but the files and the public keys, so an auditor can do it without us.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from audit_svc.domain.manifest import (
    DATA,
    MANIFESTS,
    Beside,
    Head,
    Manifest,
    ManifestBroken,
    data_name,
    manifest_name,
    read_manifest,
    sha256,
)
from audit_svc.domain.record import Place
from audit_svc.domain.verdict import Break, PartitionVerdict, Verdict, broken_link
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import FileBroken, Span, check_offsets
from chassis.ids import Kid
from chassis.keystore.store import PublicKey

NAME = re.compile(r"(manifests|data)/([^/]+)/([0-9]{5})/([0-9]+)\.(json|parquet)")
THREADS = min(8, os.cpu_count() or 1)


def verify(archive: Archive, keys: Sequence[PublicKey], committed: Mapping[Place, int]) -> Verdict:
    """Verify everything. Raises ArchiveUnavailable.

    committed: up to which offsets Kafka was told that the archive is; it shows when the last files
    of a partition were taken away.
    """
    names = set(archive.names())
    by_kid = {key.kid: key for key in keys}
    places = sorted(set(_places(names)) | committed.keys())
    with ThreadPoolExecutor(THREADS) as threads:
        partitions = list(threads.map(lambda one: _verify(archive, names, by_kid, one), places))
    breaks = [
        *(each.broken for each in partitions if each.broken is not None),
        *_missed_elsewhere(partitions),
        *_cut_short(partitions, committed),
        *_in_no_chain(names, partitions),
    ]
    times = [each.last_timestamp_ms for each in partitions if each.last_timestamp_ms is not None]
    return Verdict(
        partitions=len(partitions),
        files=sum(each.files for each in partitions),
        records=sum(each.records for each in partitions),
        proved_until_ms=max(times, default=None),
        breaks=tuple(dict.fromkeys(breaks)),
    )


class _Chain:
    """The links of a partition that were proved so far."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.head: Head | None = None
        self.records = 0
        self.last_timestamp_ms: int | None = None
        self.hashes: list[str] = []
        self.besides: list[tuple[str, Beside]] = []

    def add(self, name: str, manifest: Manifest, digest: str) -> None:
        self.head = Head(manifest.number, digest, manifest.end)
        self.records += manifest.records
        self.last_timestamp_ms = manifest.last_timestamp_ms
        self.hashes.append(digest)
        if manifest.beside is not None:
            self.besides.append((name, manifest.beside))

    def verdict(self, broken: Break | None) -> PartitionVerdict:
        return PartitionVerdict(
            place=self.place,
            head=self.head,
            files=len(self.hashes),
            records=self.records,
            last_timestamp_ms=self.last_timestamp_ms,
            hashes=tuple(self.hashes),
            besides=tuple(self.besides),
            broken=broken,
        )


def _verify(
    archive: Archive, names: set[str], keys: Mapping[Kid, PublicKey], place: Place
) -> PartitionVerdict:
    """Follow the chain of a partition from its first manifest to where it breaks or ends."""
    chain = _Chain(place)
    folder = f"{MANIFESTS}{place}/"
    there = sum(name.startswith(folder) for name in names)
    for number in range(1, there + 1):
        name = manifest_name(place, number)
        raw = archive.get(name)
        if raw is None:
            return chain.verdict(Break(name, "is not there, and later ones are"))
        try:
            manifest = read_manifest(raw, keys)
        except ManifestBroken as broken:
            return chain.verdict(Break(name, str(broken)))
        reason = broken_link(chain.head, manifest, place, number)
        if reason is not None:
            return chain.verdict(Break(name, reason))
        reason = _broken_file(archive, manifest)
        if reason is not None:
            return chain.verdict(Break(manifest.file, reason))
        chain.add(name, manifest, sha256(raw))
    return chain.verdict(None)


def _broken_file(archive: Archive, manifest: Manifest) -> str | None:
    """Return why a file is not what its manifest says, None if it is."""
    if manifest.file != data_name(manifest.place, manifest.start):
        return f"is not the name of a file that begins at offset {manifest.start}"
    raw = archive.get(manifest.file)
    if raw is None:
        return "is not there"
    if len(raw) != manifest.size_bytes:
        return f"has {len(raw)} bytes, its manifest says {manifest.size_bytes}"
    if sha256(raw) != manifest.sha256:
        return "has another content than its manifest says"
    try:
        check_offsets(raw, manifest.place, Span(manifest.start, manifest.end), manifest.records)
    except FileBroken as broken:
        return str(broken)
    return None


def _missed_elsewhere(partitions: Sequence[PartitionVerdict]) -> Iterator[Break]:
    """Yield the manifests that others tell of and that are not there, or not as they were."""
    hashes = {each.place: each.hashes for each in partitions}
    is_broken = {each.place for each in partitions if each.broken is not None}
    for each in partitions:
        for name, beside in each.besides:
            place = Place(beside.topic, beside.partition)
            found = hashes.get(place, ())
            if beside.number > len(found):
                if place not in is_broken:
                    missing = manifest_name(place, beside.number)
                    yield Break(missing, f"is not there, and {name} tells of it")
            elif found[beside.number - 1] != beside.sha256:
                gone = manifest_name(place, beside.number)
                yield Break(gone, f"is another than the one that {name} tells of")


def _cut_short(
    partitions: Sequence[PartitionVerdict], committed: Mapping[Place, int]
) -> Iterator[Break]:
    for each in partitions:
        end = each.head.end if each.head else 0
        if each.broken is None and committed.get(each.place, 0) > end:
            name = manifest_name(each.place, each.files + 1)
            told = committed[each.place]
            yield Break(name, f"is not there, and Kafka was told of an archive up to offset {told}")


def _in_no_chain(names: set[str], partitions: Sequence[PartitionVerdict]) -> Iterator[Break]:
    """Yield the files that no chain has. The one after its end may be: it has no manifest yet."""
    begun = {
        data_name(each.place, each.head.end) for each in partitions if each.head and not each.broken
    }
    files: dict[Place, list[str]] = defaultdict(list)
    for name in sorted(names):
        match = NAME.fullmatch(name)
        if match is None:
            yield Break(name, "belongs to no archive")
        elif match[1] == DATA.rstrip("/"):
            files[Place(match[2], int(match[3]))].append(name)
    for each in partitions:
        if each.broken is None:
            beyond = files[each.place][each.files :]
            if not each.files:
                beyond = beyond[1:]
            yield from (Break(name, "is in no chain") for name in beyond if name not in begun)


def _places(names: set[str]) -> Iterator[Place]:
    for name in names:
        match = NAME.fullmatch(name)
        if match is not None:
            yield Place(match[2], int(match[3]))
