"""What a verification found: how much is proved, and each link that is broken."""

from __future__ import annotations

from dataclasses import dataclass

from audit_svc.domain.manifest import Beside, Head, Manifest
from audit_svc.domain.record import Place


@dataclass(frozen=True, slots=True)
class Break:
    """A link of the chain that does not hold. file: its name in the archive."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class PartitionVerdict:
    """One partition. head: the last manifest that is proved. hashes: of its manifests, in order.

    broken: the first link that does not hold, after which nothing is proved.
    """

    place: Place
    head: Head | None
    files: int
    records: int
    last_timestamp_ms: int | None
    hashes: tuple[str, ...]
    besides: tuple[tuple[str, Beside], ...]
    broken: Break | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole archive. proved_until_ms: the newest record that is proved, by Kafka's time."""

    partitions: int
    files: int
    records: int
    proved_until_ms: int | None
    breaks: tuple[Break, ...]


def broken_link(before: Head | None, manifest: Manifest, place: Place, number: int) -> str | None:
    """Return why a manifest does not come after another one, None if it does."""
    if (manifest.place, manifest.number) != (place, number):
        return f"is manifest {manifest.number} of {manifest.place}, put here"
    if manifest.previous != (before.sha256 if before else None):
        return "does not name the manifest before it by its hash"
    if before is not None and manifest.start != before.end:
        return f"begins at offset {manifest.start}, the file before it ends at {before.end}"
    if manifest.end <= manifest.start:
        return "covers no offsets"
    return None
