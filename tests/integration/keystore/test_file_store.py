"""The encrypted file: whole or not at all, readable with the master key only, 0600."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import KeyStoreRefused, KeyStoreUnavailable, Purpose
from tests.integration.keystore.parts import FileGround

pytestmark = pytest.mark.integration

MASTER = bytes(range(32))


def _store(ground: FileGround, master: bytes = MASTER) -> FileKeyStore:
    return FileKeyStore(ground.file, master, ground.clock)


def test_only_the_owner_may_read_it_whatever_the_umask(file_ground: FileGround) -> None:
    before = os.umask(0)
    try:
        _store(file_ground).create_missing()
    finally:
        os.umask(before)

    for file in file_ground.folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_another_master_key_opens_nothing(file_ground: FileGround) -> None:
    _store(file_ground).create_missing()

    with pytest.raises(KeyStoreRefused, match="master key is wrong or the file was changed"):
        _store(file_ground, bytes(32))


def test_a_file_that_was_changed_anywhere_is_refused(file_ground: FileGround) -> None:
    _store(file_ground).create_missing()
    good = file_ground.file.read_bytes()

    spoiled = [good[:length] for length in (0, 1, 12, 27, len(good) - 1)]
    spoiled += [
        good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        for place in range(0, len(good), 97)
    ]
    for content in [*spoiled, good + b"\x00"]:
        file_ground.file.write_bytes(content)
        with pytest.raises(KeyStoreRefused):
            _store(file_ground)


def test_the_file_says_nothing_about_its_keys(file_ground: FileGround) -> None:
    made = _store(file_ground).create_missing()

    content = file_ground.file.read_bytes()

    for key in made:
        assert key.kid.encode() not in content
        assert key.purpose.value.encode() not in content


def test_a_write_that_died_in_the_middle_leaves_the_old_keys_and_no_obstacle(
    file_ground: FileGround,
) -> None:
    store = _store(file_ground)
    made = store.create_missing()
    file_ground.file.with_name("keys.new").write_bytes(b"half a fi")

    assert _store(file_ground).list_keys() == made

    store.rotate(Purpose.PAN_ENVELOPE)
    assert len(_store(file_ground).list_keys()) == len(made) + 1


def test_who_reads_while_another_writes_sees_the_old_or_the_new(file_ground: FileGround) -> None:
    writer = _store(file_ground)
    writer.create_missing()
    seen: list[int] = []
    is_done = threading.Event()

    def read() -> None:
        while not is_done.is_set():
            seen.append(len(_store(file_ground).list_keys()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(30):
            writer.rotate(Purpose.TOKEN_ENCRYPTION)
    finally:
        is_done.set()
        reader.join()

    assert seen == sorted(seen)
    assert set(seen) <= set(range(len(Purpose), len(Purpose) + 31))


def test_a_folder_that_is_not_there_is_unavailability(file_ground: FileGround) -> None:
    store = FileKeyStore(file_ground.folder / "absent" / "keys", MASTER, file_ground.clock)

    with pytest.raises(KeyStoreUnavailable):
        store.create_missing()
