"""Finds rows of payments by when they changed, in a few looks however old the archive is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_svc.clients import KafkaReader
from audit_svc.domain.manifest import Manifest, manifest_name, read_manifest
from audit_svc.domain.record import Place
from audit_svc.domain.story import Row, last_rows
from audit_svc.domain.topics import BY_PAYMENT
from audit_svc.handlers.archiving import count_manifests
from audit_svc.handlers.history import Files, find
from audit_svc.store.archive import Archive
from chassis.errors import ParameterInvalid
from chassis.ids import Kid, is_id
from chassis.keystore.store import PublicKey

PAYMENTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of Kafka's time, milliseconds since 1970, both ends included."""

    since_ms: int
    until_ms: int


def payment_rows(  # noqa: PLR0913, PLR0917 where to look, for what
    archive: Archive,
    kafka: KafkaReader,
    keys: Sequence[PublicKey],
    service: str,
    payment_intent_ids: Sequence[str],
    stretch: Stretch,
) -> list[Row]:
    """Return the rows of payments in a service's database that changed in a stretch of time.

    Raises ParameterInvalid, ArchiveUnavailable, KafkaUnavailable, and ManifestBroken.
    """
    if not 1 <= len(payment_intent_ids) <= PAYMENTS_MAX:
        raise ParameterInvalid(f"1 to {PAYMENTS_MAX} ids at once.", param="payment_intent_ids")
    if not all(is_id("pi", each) for each in payment_intent_ids):
        raise ParameterInvalid("No such id of a payment intent.", param="payment_intent_ids")
    wanted = {each.encode() for each in payment_intent_ids}
    topics = [topic for topic in BY_PAYMENT if topic.startswith(f"cdc.{service}.")]
    by_kid = {key.kid: key for key in keys}
    files: list[Files] = []
    since: dict[Place, int] = {}
    for place in kafka.places(topics, wanted):
        found = manifests_in(archive, by_kid, place, stretch)
        files.append({manifest.file: manifest.size_bytes for manifest in found.inside})
        if found.is_to_the_end:
            since[place] = found.end
    archived = find(archive, files, wanted, stretch.since_ms)
    recent = kafka.read(since, wanted) if since else []
    told = [
        [one for one in records if stretch.since_ms <= one.timestamp_ms <= stretch.until_ms]
        for records in (archived, recent)
    ]
    return last_rows(*told)


@dataclass(frozen=True, slots=True)
class Found:
    """Manifests of a partition whose records may be of a stretch of time.

    is_to_the_end: whether what comes after the archive's end, the offset `end`, may be, too.
    """

    inside: list[Manifest]
    is_to_the_end: bool
    end: int


def manifests_in(
    archive: Archive, keys: Mapping[Kid, PublicKey], place: Place, stretch: Stretch
) -> Found:
    """Return the manifests of a partition in a stretch of time, found by halving."""

    def read(number: int) -> Manifest:
        return read_manifest(archive.get(manifest_name(place, number)) or b"", keys)

    count = count_manifests(archive, place)
    first, beyond = 1, count + 1
    while first < beyond:
        middle = (first + beyond) // 2
        if read(middle).last_timestamp_ms < stretch.since_ms:
            first = middle + 1
        else:
            beyond = middle
    inside: list[Manifest] = []
    for number in range(first, count + 1):
        manifest = read(number)
        if manifest.first_timestamp_ms > stretch.until_ms:
            return Found(inside, is_to_the_end=False, end=manifest.start)
        inside.append(manifest)
    return Found(inside, is_to_the_end=True, end=read(count).end if count else 0)
