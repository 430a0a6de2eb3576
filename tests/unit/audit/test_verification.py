"""Whatever is done to an archive is found, and the file named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from audit_svc.domain.manifest import (
    data_name,
    manifest_name,
    payload_of,
    read_manifest,
    sha256,
    signed,
)
from audit_svc.domain.record import Place
from audit_svc.store.parquet import Span, to_parquet
from chassis.ids import Kid
from chassis.keystore.keys import Purpose
from chassis.keystore.store import Signature
from tests.unit.audit.parts import OTHER, PLACE, STARTED_MS, Ground, a_change, a_record

FILES = 4
STARTS = (0, 10, 20, 30)


@pytest.fixture
def full(ground: Ground) -> Ground:
    """Return an archive of two partitions, written by one process in turn, as it goes."""
    shared = ground.process()
    for start in STARTS:
        for place in (PLACE, OTHER):
            offsets = range(start, start + 10, 3)
            ground.write([a_change(offset, place=place) for offset in offsets], shared)
    return ground


def _flip(name: str) -> Callable[[Ground], object]:
    def flip(ground: Ground) -> None:
        raw = bytearray(ground.path(name).read_bytes())
        raw[len(raw) // 2] ^= 1
        ground.path(name).write_bytes(raw)

    return flip


def _delete(*names: str) -> Callable[[Ground], object]:
    def delete(ground: Ground) -> None:
        for name in names:
            ground.path(name).unlink()

    return delete


def _swap(one: str, two: str) -> Callable[[Ground], object]:
    def swap(ground: Ground) -> None:
        aside = ground.folder / "aside"
        shutil.move(ground.path(one), aside)
        shutil.move(ground.path(two), ground.path(one))
        shutil.move(aside, ground.path(two))

    return swap


def _truncate(name: str) -> Callable[[Ground], object]:
    return lambda ground: ground.path(name).write_bytes(ground.path(name).read_bytes()[:-1])


def _put(name: str, raw: bytes) -> Callable[[Ground], object]:
    return lambda ground: ground.path(name).write_bytes(raw)


def _rewrite(**changes: object) -> Callable[[Ground], object]:
    """Change what a manifest says and leave its signature as it is."""

    def rewrite(ground: Ground) -> None:
        path = ground.path(MANIFESTS[1])
        payload, below, _ = path.read_bytes().split(b"\n")
        told = orjson.loads(payload) | changes
        path.write_bytes(orjson.dumps(told) + b"\n" + below + b"\n")

    return rewrite


def _forge(ground: Ground) -> None:
    """Sign a manifest that says something else with a key of somebody else's."""
    path = ground.path(MANIFESTS[1])
    payload = path.read_bytes().split(b"\n")[0].replace(b'"records":4', b'"records":3')
    path.write_bytes(signed(payload, Signature(Kid("kid_" + "0" * 24), bytes(64))))


def _resign(ground: Ground) -> None:
    """Drop a record, and sign a manifest for that with the right key, as an insider could."""
    records = [a_change(offset) for offset in (10, 13, 19)]
    raw = to_parquet(records, Span(10, 20))
    ground.path(DATA[1]).write_bytes(raw)
    keys = {key.kid: key for key in ground.keys.verification_keys()}
    old = read_manifest(ground.path(MANIFESTS[1]).read_bytes(), keys)

    new = replace(old, records=3, sha256=sha256(raw), size_bytes=len(raw))
    payload = payload_of(new)
    ground.path(MANIFESTS[1]).write_bytes(signed(payload, ground.keys.sign(payload)))


DATA = [data_name(PLACE, start) for start in STARTS]
MANIFESTS = [manifest_name(PLACE, number) for number in range(1, FILES + 1)]
OTHERS = [manifest_name(OTHER, number) for number in range(1, FILES + 1)]
LAST = (DATA[-1], MANIFESTS[-1])

TAMPERED: dict[str, tuple[Callable[[Ground], object], str, str]] = {
    "a byte of a file": (_flip(DATA[1]), DATA[1], "another content"),
    "a byte of a manifest": (_flip(MANIFESTS[1]), MANIFESTS[1], "signature that is not right"),
    "a file is gone": (_delete(DATA[2]), DATA[2], "is not there"),
    "a manifest is gone": (_delete(MANIFESTS[1]), MANIFESTS[1], "is not there, and later ones"),
    "both are gone": (_delete(DATA[1], MANIFESTS[1]), MANIFESTS[1], "is not there, and later"),
    "the first are gone": (_delete(DATA[0], MANIFESTS[0]), MANIFESTS[0], "is not there"),
    "two files are swapped": (_swap(DATA[1], DATA[2]), DATA[1], ""),
    "two manifests are swapped": (
        _swap(MANIFESTS[1], MANIFESTS[2]),
        MANIFESTS[1],
        f"is manifest 3 of {PLACE}, put here",
    ),
    "manifests of two partitions are swapped": (
        _swap(MANIFESTS[1], OTHERS[1]),
        MANIFESTS[1],
        f"is manifest 2 of {OTHER}, put here",
    ),
    "a file is cut": (_truncate(DATA[1]), DATA[1], "bytes, its manifest says"),
    "a manifest is cut": (_truncate(MANIFESTS[1]), MANIFESTS[1], "is no manifest"),
    "a file is empty": (_put(DATA[3], b""), DATA[3], "has 0 bytes"),
    "a manifest says less": (_rewrite(records=3), MANIFESTS[1], "signature that is not right"),
    "a manifest is forged": (_forge, MANIFESTS[1], "signed with a key that is not known"),
    "an insider signs another": (_resign, MANIFESTS[2], "does not name the manifest before it"),
    "the last manifest is gone": (_delete(MANIFESTS[-1]), MANIFESTS[-1], "tells of it"),
    "the last are gone": (_delete(*LAST), MANIFESTS[-1], f"is not there, and {OTHERS[-1]} tells"),
    "the last two are gone": (
        _delete(*LAST, DATA[2], MANIFESTS[2]),
        MANIFESTS[2],
        "is not there, and",
    ),
    "a file comes after the end": (
        _put(data_name(PLACE, 77), b"x"),
        data_name(PLACE, 77),
        "is in no chain",
    ),
    "something else lies there": (
        _put("data/readme", b"x"),
        "data/readme",
        "belongs to no archive",
    ),
}


def test_an_archive_that_nobody_touched_is_proved_whole(full: Ground) -> None:
    verdict = full.verdict({PLACE: 40, OTHER: 40})

    assert verdict.breaks == ()
    assert (verdict.partitions, verdict.files, verdict.records) == (2, 8, 32)
    assert verdict.proved_until_ms == STARTED_MS + 39


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_found_and_named(full: Ground, what: str) -> None:
    tamper, file, reason = TAMPERED[what]

    tamper(full)

    found = full.broken()
    assert found[0][0] == file
    assert reason in found[0][1]


def test_the_last_of_all_are_missed_by_what_kafka_was_told(full: Ground) -> None:
    for name in (data_name(OTHER, 30), OTHERS[-1]):
        full.path(name).unlink()

    assert full.broken() == []
    [(file, reason)] = full.broken({PLACE: 40, OTHER: 40})

    assert file == OTHERS[-1]
    assert "up to offset 40" in reason


def test_a_whole_partition_is_missed(full: Ground) -> None:
    shutil.rmtree(full.path(f"data/{PLACE}"))
    shutil.rmtree(full.path(f"manifests/{PLACE}"))

    by_others = full.broken()
    by_kafka = full.broken({PLACE: 40})

    assert by_others[0][0] == by_kafka[0][0] == MANIFESTS[0]


def test_a_file_without_a_manifest_yet_breaks_nothing(full: Ground) -> None:
    raw = to_parquet([a_change(40)], Span(40, 41))
    full.archive.create(data_name(PLACE, 40), raw)
    first = Place("events.payment_intent", 0)
    full.archive.create(data_name(first, 0), to_parquet([a_record(0, place=first)], Span(0, 1)))

    assert full.broken({PLACE: 40}) == []


def test_what_old_keys_signed_is_proved_after_a_rotation(full: Ground) -> None:
    full.keys.rotate(Purpose.AUDIT_SIGNING)
    full.clock.move(60)
    full.write([a_change(40)])

    assert full.broken() == []


def test_every_break_is_told_of_and_none_twice(full: Ground) -> None:
    _flip(DATA[1])(full)
    _flip(data_name(OTHER, 20))(full)

    assert [file for file, _ in full.broken()] == [DATA[1], data_name(OTHER, 20)]
