"""The chain of a partition's files: each has a manifest, which names the one before by its hash.

A partition's files cover its offsets without a gap: each begins where the one before ends. So a
file's first offset is name enough, and nobody can make two files of the same offsets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from audit_svc.domain.record import Place
from chassis.ids import Kid
from chassis.keystore.signatures import is_signed
from chassis.keystore.store import PublicKey, Signature

MANIFESTS = "manifests/"
DATA = "data/"


class ManifestBroken(Exception):
    """What should be a manifest is none; the text says why."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The manifest of another partition that was written just before, and its hash.

    So the last manifests of a partition can't be dropped without being missed elsewhere.
    """

    topic: str
    partition: int
    number: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one file of a partition holds.

    number: 1, 2, … in the partition. sha256, size_bytes: of the file. start, end: the offsets that
    it covers, the end not included; Kafka leaves some of them out. previous: the hash of the
    manifest before, None for the first.
    """

    topic: str
    partition: int
    number: int
    file: str
    sha256: str
    size_bytes: int
    start: int
    end: int
    records: int
    first_timestamp_ms: int
    last_timestamp_ms: int
    archived_ms: int
    previous: str | None
    beside: Beside | None

    @property
    def place(self) -> Place:
        """The partition."""
        return Place(self.topic, self.partition)

    @property
    def covers(self) -> tuple[str | None, str, str, int, int]:
        """What two who archive the same must agree on, whenever they did it."""
        return (self.previous, self.file, self.sha256, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Head:
    """The last manifest of a partition: its number and hash, and the next offset to archive."""

    number: int
    sha256: str
    end: int


def manifest_name(place: Place, number: int) -> str:
    """Return where a manifest lies in the archive."""
    return f"{MANIFESTS}{place}/{number:010d}.json"


def data_folder(place: Place) -> str:
    """Return where the files of a partition lie."""
    return f"{DATA}{place}/"


def data_name(place: Place, start: int) -> str:
    """Return where the file lies that begins with an offset."""
    return f"{data_folder(place)}{start:020d}.parquet"


def sha256(raw: bytes) -> str:
    """Return the hash of a file, hex."""
    return hashlib.sha256(raw).hexdigest()


def payload_of(manifest: Manifest) -> bytes:
    """Return what of a manifest is signed: one line of JSON."""
    return orjson.dumps(asdict(manifest), option=orjson.OPT_SORT_KEYS)


def signed(payload: bytes, signature: Signature) -> bytes:
    """Return a manifest's file: the payload, and below it its signature."""
    below = orjson.dumps({"kid": signature.kid, "signature": signature.data.hex()})
    return payload + b"\n" + below + b"\n"


def read_manifest(raw: bytes, keys: Mapping[Kid, PublicKey]) -> Manifest:
    """Return the manifest in a file, once its signature is checked. Raises ManifestBroken."""
    try:
        payload, below, rest = raw.split(b"\n")
        told = orjson.loads(below)
        signature = Signature(Kid(told["kid"]), bytes.fromhex(told["signature"]))
    except (ValueError, TypeError, LookupError):
        raise ManifestBroken("is no manifest") from None
    if signature.kid not in keys:
        raise ManifestBroken("is signed with a key that is not known")
    if rest or not is_signed(payload, signature, keys):
        raise ManifestBroken("has a signature that is not right")
    return _manifest(orjson.loads(payload))


def _manifest(told: dict[str, Any]) -> Manifest:
    beside = told.pop("beside")
    return Manifest(**told, beside=None if beside is None else Beside(**beside))
