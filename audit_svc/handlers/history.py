"""Tells a payment's story from the archive and from what is in Kafka alone yet."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from audit_svc.clients import KafkaReader
from audit_svc.domain.manifest import data_folder
from audit_svc.domain.record import Record
from audit_svc.domain.story import Story, tell
from audit_svc.domain.topics import BY_PAYMENT
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import file_span, find_records, newest_ms
from chassis.errors import ParameterInvalid, ResourceMissing
from chassis.ids import created_at, is_id

Files = Mapping[str, int]  # of a partition in order: sizes by name
THREADS = min(8, 2 * (os.cpu_count() or 1))
CLOCKS_APART_MS = 86_400_000  # how far the clocks of who makes ids and of Kafka may be apart


def history(archive: Archive, kafka: KafkaReader, payment_intent_id: str) -> Story:
    """Return a payment's story.

    Raises ParameterInvalid for what is no id, ResourceMissing where nothing is known of it,
    ArchiveUnavailable, KafkaUnavailable.
    """
    if not is_id("pi", payment_intent_id):
        raise ParameterInvalid("No such id of a payment intent.", param="payment_intent_id")
    key = payment_intent_id.encode()
    since_ms = int(created_at(payment_intent_id) * 1000) - CLOCKS_APART_MS
    places = kafka.places(BY_PAYMENT, [key])
    # The archive is looked at first: what is archived meanwhile is still in Kafka.
    files = {place: archive.sizes(data_folder(place)) for place in places}
    since = {place: archived_until(archive, files[place]) for place in places}
    archived = find(archive, list(files.values()), [key], since_ms)
    story = tell(archived, kafka.read(since, {key}))
    if not story.steps:
        raise ResourceMissing("Nothing is known of this payment intent.")
    return story


def find(
    archive: Archive, partitions: Iterable[Files], keys: Collection[bytes], since_ms: int
) -> list[Record]:
    """Return the records of keys in the files of partitions, none older than some time."""
    with ThreadPoolExecutor(THREADS) as threads:
        young = chain(*threads.map(lambda files: since_then(archive, files, since_ms), partitions))
        found = threads.map(lambda file: find_records(archive.open(*file), keys, since_ms), young)
        return list(chain(*found))


def since_then(archive: Archive, files: Files, since_ms: int) -> list[tuple[str, int]]:
    """Return the files of a partition from the first on with a record that is not older.

    Times are in order but for the difference of clocks that `since_ms` allows for.
    """
    listed = list(files.items())
    begin = bisect_left(listed, since_ms, key=lambda file: newest_ms(archive.open(*file)))
    return listed[begin:]


def archived_until(archive: Archive, files: Files) -> int:
    """Return the offset after the last one in these files of a partition."""
    return file_span(archive.open(*list(files.items())[-1])).end if files else 0
