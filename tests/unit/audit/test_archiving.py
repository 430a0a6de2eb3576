"""A partition is archived once, whoever does it, however often he dies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit_svc.domain.manifest import data_name, manifest_name, read_manifest
from audit_svc.domain.record import Record
from audit_svc.handlers.archiving import ArchiveDiffers, Archiving, PartitionArchiver
from audit_svc.store.archive import AlreadyThere, Archive, ArchiveUnavailable
from audit_svc.store.parquet import read_records
from tests.unit.audit.parts import PLACE, Ground, a_change, a_record


class Crash(Exception):
    """The process dies here."""


class DyingArchive(Archive):
    """An archive whose process dies at its nth write, before it or after it."""

    def __init__(self, url: str, *, at: int, is_written: bool) -> None:
        super().__init__(url)
        self._left = at
        self._is_written = is_written

    def create(self, name: str, raw: bytes) -> None:
        self._left -= 1
        if self._left == 0:
            if self._is_written:
                super().create(name, raw)
            raise Crash
        super().create(name, raw)


def _records(*offsets: int) -> list[Record]:
    return [a_change(offset) for offset in offsets]


def _archived(ground: Ground) -> list[Record]:
    """Return what the chain of manifests holds, in order."""
    keys = {key.kid: key for key in ground.keys.verification_keys()}
    found, number = [], 1
    while (raw := ground.archive.get(manifest_name(PLACE, number))) is not None:
        manifest = read_manifest(raw, keys)
        found += read_records(ground.archive.get(manifest.file) or b"")
        number += 1
    return found


def _go_on(shared: Archiving, topic: Sequence[Record], file_records: int) -> None:
    """Archive a topic from where the archive ends, as a process that just started does."""
    archiver = PartitionArchiver(shared, PLACE)
    for record in [record for record in topic if record.offset >= archiver.position]:
        archiver.take([record])
        if archiver.is_begun_file_read or archiver.pending >= file_records:
            archiver.write()
            while archiver.is_begun_file_read:
                archiver.write()
    if archiver.pending:
        archiver.write()


def test_files_follow_each_other_and_leave_no_offset_out(ground: Ground) -> None:
    topic = _records(0, 1, 4, 5, 9, 17)

    for part in (topic[:2], topic[2:5], topic[5:]):
        ground.write(part)

    assert _archived(ground) == topic
    assert ground.archive.names() == [
        data_name(PLACE, 0),
        data_name(PLACE, 2),
        data_name(PLACE, 10),
        manifest_name(PLACE, 1),
        manifest_name(PLACE, 2),
        manifest_name(PLACE, 3),
    ]
    assert ground.broken() == []


def test_a_record_comes_back_byte_for_byte(ground: Ground) -> None:
    topic = [
        a_record(0, b"\x00\xff\xfe"),
        a_record(1, None),
        a_record(2, b""),
        a_change(3, {"id": "x"}, {"id": "x", "n": 1}),
        a_record(4, b"{not json"),
    ]

    ground.write(topic)

    assert _archived(ground) == topic


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_crash_anywhere_leaves_an_archive_as_if_there_had_been_none(
    ground: Ground, at: int, *, is_written: bool
) -> None:
    topic = _records(*range(0, 40, 3))
    dying = ground.process()
    dying.archive = DyingArchive(ground.files.as_uri(), at=at, is_written=is_written)

    with pytest.raises(Crash):
        _go_on(dying, topic, file_records=5)
    _go_on(ground.process(), topic, file_records=3)

    assert _archived(ground) == topic
    assert ground.broken() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    gaps=st.lists(st.integers(1, 4), min_size=1, max_size=25),
    deaths=st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(1, 7)), max_size=5),
)
def test_after_any_deaths_every_record_is_there_once(
    tmp_path_factory: pytest.TempPathFactory,
    gaps: list[int],
    deaths: list[tuple[int, bool, int]],
) -> None:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    topic = _records(*(sum(gaps[:number]) for number in range(len(gaps))))

    for at, is_written, file_records in deaths:
        dying = ground.process()
        dying.archive = DyingArchive(ground.files.as_uri(), at=at, is_written=is_written)
        try:
            _go_on(dying, topic, file_records)
        except Crash:
            continue
    _go_on(ground.process(), topic, 4)

    assert _archived(ground) == topic
    assert ground.broken() == []


@given(turns=st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.booleans()), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_two_that_archive_at_once_make_one_archive(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[bool, int, bool]]
) -> None:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    topic = _records(*range(0, 60, 2))
    both = [PartitionArchiver(ground.process(), PLACE) for _ in range(2)]

    for is_second, count, is_written in [*turns, *((one, 60, True) for one in (False, True))] * 2:
        archiver = both[is_second]
        rest = [record for record in topic if record.offset >= archiver.position]
        if rest:
            archiver.take(rest[:count])
        if is_written:
            archiver.write()
    for archiver in both:
        while archiver.pending:
            archiver.write()

    assert _archived(ground) == topic
    assert [archiver.archived for archiver in both] == [59, 59]
    assert ground.broken() == []


def test_who_is_late_goes_by_what_the_other_wrote(ground: Ground) -> None:
    early, late = (PartitionArchiver(ground.process(), PLACE) for _ in range(2))
    topic = _records(*range(10))
    late.take(topic[:4])

    early.take(topic[:7])
    early.write()

    assert not late.write()
    late.take(topic[4:])
    assert late.write()
    assert (late.archived, late.pending) == (7, 3)
    assert late.write()
    assert _archived(ground) == topic


def test_a_file_that_is_not_what_kafka_has_stops_the_partition(ground: Ground) -> None:
    dying = ground.process()
    dying.archive = DyingArchive(ground.files.as_uri(), at=2, is_written=False)
    with pytest.raises(Crash):
        _go_on(dying, _records(0, 1, 2), file_records=3)

    archiver = PartitionArchiver(ground.process(), PLACE)
    archiver.take([*_records(0, 1), a_change(2, {"id": "other"})])

    with pytest.raises(ArchiveDiffers):
        archiver.write()


def test_what_kafka_deleted_before_it_was_archived_shows(ground: Ground) -> None:
    ground.write(_records(0, 1, 2))
    archiver = PartitionArchiver(ground.process(), PLACE)

    archiver.begin_at(50)
    archiver.take(_records(50, 51))
    archiver.write()

    assert ground.broken() == [
        (manifest_name(PLACE, 2), "begins at offset 50, the file before it ends at 3")
    ]


def test_an_archive_may_begin_late_and_a_begun_file_outlives_its_records_in_kafka(
    ground: Ground,
) -> None:
    dying = ground.process()
    dying.archive = DyingArchive(ground.files.as_uri(), at=2, is_written=False)
    first = PartitionArchiver(dying, PLACE)
    first.begin_at(100)
    first.take(_records(100, 101, 102))
    with pytest.raises(Crash):
        first.write()

    again = PartitionArchiver(ground.process(), PLACE)
    again.begin_at(102)
    again.take(_records(102, 103))
    again.write()
    again.write()

    assert _archived(ground) == _records(100, 101, 102, 103)
    assert ground.broken() == []


@pytest.mark.parametrize("files", [1, 2, 3, 4, 5, 8, 17])
def test_the_end_is_found_however_many_files_there_are(ground: Ground, files: int) -> None:
    for offset in range(files):
        ground.write(_records(offset))

    assert PartitionArchiver(ground.process(), PLACE).position == files
    assert all(
        one.name < two.name
        for one, two in pairwise(sorted(ground.path(f"manifests/{PLACE}").iterdir()))
    )


def test_a_record_that_comes_again_is_refused(ground: Ground) -> None:
    archiver = PartitionArchiver(ground.process(), PLACE)
    archiver.take(_records(0, 1))

    with pytest.raises(ValueError, match="comes again"):
        archiver.take(_records(1))


def test_nothing_is_written_twice(ground: Ground) -> None:
    ground.archive.create("data/x", b"first")

    with pytest.raises(AlreadyThere):
        ground.archive.create("data/x", b"second")
    assert ground.archive.get("data/x") == b"first"


def test_an_archive_that_is_away_is_waited_for(ground: Ground) -> None:
    archiver = PartitionArchiver(ground.process(), PLACE)
    archiver.take(_records(0))
    ground.path("data").write_text("a file where the folder should be")

    with pytest.raises(ArchiveUnavailable):
        archiver.write()
