"""Files of a stretch of time are found by their manifests, a few of however many there are."""

from __future__ import annotations

import pytest

from audit_svc.domain.manifest import ManifestBroken, manifest_name
from audit_svc.domain.record import Place
from audit_svc.handlers.rows import Stretch, manifests_in
from audit_svc.store.archive import Archive
from tests.unit.audit.parts import PLACE, STARTED_MS, Ground, a_record

FILES = 40


class CountingArchive(Archive):
    """Counts the manifests that are read."""

    reads = 0

    def get(self, name: str) -> bytes | None:
        """Read one."""
        self.reads += 1
        return super().get(name)


@pytest.fixture
def archive(ground: Ground) -> CountingArchive:
    """Return an archive of files of two records, a millisecond apart."""
    shared = ground.process()
    for start in range(0, 2 * FILES, 2):
        ground.write([a_record(start), a_record(start + 1)], shared)
    return CountingArchive(ground.files.as_uri())


@pytest.mark.parametrize(
    ("since", "until", "starts", "is_to_the_end"),
    [
        (0, 0, [0], False),
        (1, 2, [0, 2], False),
        (10, 13, [10, 12], False),
        (11, 11, [10], False),
        (77, 79, [76, 78], True),
        (79, 500, [78], True),
        (80, 500, [], True),
        (-500, -1, [], False),
    ],
)
def test_the_files_of_a_stretch_of_time_are_found(
    ground: Ground,
    archive: CountingArchive,
    since: int,
    until: int,
    starts: list[int],
    *,
    is_to_the_end: bool,
) -> None:
    keys = {key.kid: key for key in ground.keys.verification_keys()}

    found = manifests_in(archive, keys, PLACE, Stretch(STARTED_MS + since, STARTED_MS + until))

    assert [manifest.start for manifest in found.inside] == starts
    assert found.is_to_the_end == is_to_the_end
    assert archive.reads <= len(starts) + 10


def test_what_is_after_the_archive_is_read_from_its_end(
    ground: Ground, archive: CountingArchive
) -> None:
    keys = {key.kid: key for key in ground.keys.verification_keys()}

    found = manifests_in(archive, keys, PLACE, Stretch(STARTED_MS, STARTED_MS + 500))
    empty = manifests_in(archive, keys, Place("events.attempt", 1), Stretch(0, STARTED_MS))

    assert (len(found.inside), found.end) == (FILES, 2 * FILES)
    assert (empty.inside, empty.is_to_the_end, empty.end) == ([], True, 0)


def test_a_manifest_that_somebody_changed_is_not_believed(
    ground: Ground, archive: CountingArchive
) -> None:
    keys = {key.kid: key for key in ground.keys.verification_keys()}
    path = ground.path(manifest_name(PLACE, 5))
    path.write_bytes(path.read_bytes().replace(b'"number":5', b'"number":6'))

    with pytest.raises(ManifestBroken):
        manifests_in(archive, keys, PLACE, Stretch(STARTED_MS, STARTED_MS + 500))
