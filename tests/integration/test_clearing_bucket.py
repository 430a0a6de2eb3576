"""A bucket as the inbox: listed, read a part at a time, taken once; its keys are told to nobody."""

from __future__ import annotations

import hashlib
import io
import random
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from chassis.database import Database
from recon_svc.clearing.inbox import FileChanged, HashedFile, Inbox, InboxUnavailable
from recon_svc.domain.clearing_file import FileStatus, InboxFile
from tests.integration.bucket import Bucket, running_bucket
from tests.integration.clearing_parts import NAME, ClearingProcess, a_process, an_attempt
from tests.unit.clearing.files import IPM, TC33, a_file, a_row

pytestmark = pytest.mark.integration

MIB = 1 << 20
VISA_NAME = "visa_sim-20261126-001.tc33"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with running_bucket(tmp_path_factory.mktemp("bucket")) as running:
        yield running


@pytest.fixture
def bucket(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.empty()


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "unused") as running:
        await running.attempts.take([an_attempt(1), an_attempt(2), an_attempt(3, TC33)])
        yield running


async def test_files_of_a_bucket_are_taken_once(bucket: Bucket, process: ClearingProcess) -> None:
    process.clearing = process.taking_from(Inbox(bucket.url))
    bucket.put(NAME, a_file(IPM, [a_row(1), a_row(2)]))
    bucket.put(VISA_NAME, a_file(TC33, [a_row(3)]))
    bucket.put(f".{NAME}.part", b"unfinished")
    bucket.put(f"done/{NAME}", b"of another folder")
    bucket.put(f"elsewhere-{NAME}", b"beside the inbox", prefix="")

    files = await process.clearing.run()
    again = await process.again().taking_from(Inbox(bucket.url)).run()

    assert {file.name: file.status for file in files} == {
        NAME: FileStatus.TAKEN,
        VISA_NAME: FileStatus.TAKEN,
    }
    assert await process.verdicts() == ["matched"] * 3
    assert again == []
    assert (await process.rows())["lines"] == 3


async def test_a_file_that_is_repeated_is_refused(bucket: Bucket, process: ClearingProcess) -> None:
    process.clearing = process.taking_from(Inbox(bucket.url))
    bucket.put(NAME, a_file(IPM, [a_row(1)]))
    await process.clearing.run()
    before = await process.rows()
    bucket.put("mastercard_sim-again.ipm", a_file(IPM, [a_row(1)]))
    bucket.put(NAME, a_file(IPM, [a_row(2)]))

    refused = await process.clearing.run()

    assert [file.status for file in refused] == [FileStatus.REFUSED] * 2
    assert {file.refusal.reason for file in refused if file.refusal is not None} == {
        f"was taken before, from {NAME}"
    }
    assert await process.rows() == before


def test_a_large_file_is_read_a_part_at_a_time(bucket: Bucket) -> None:
    raw = random.Random(3).randbytes(3 * MIB + 1)
    bucket.put("large", raw)
    inbox = Inbox(bucket.url)
    [file] = inbox.files()
    hashed = inbox.open(file)
    stream = io.BufferedReader(hashed, buffer_size=MIB)

    first = stream.read(1000)
    parts_of_the_first = bucket.reads("large")
    rest = stream.read()

    assert first + rest == raw
    assert parts_of_the_first == 1
    assert bucket.reads("large") > 3
    assert hashed.sha256() == hashlib.sha256(raw).hexdigest()


def test_parts_of_two_versions_never_come_together(bucket: Bucket) -> None:
    bucket.put("large", b"1" * 3 * MIB)
    inbox = Inbox(bucket.url)
    stream = io.BufferedReader(inbox.open(*inbox.files()), buffer_size=MIB)
    stream.read(1000)
    bucket.put("large", b"2" * 3 * MIB)

    with pytest.raises(FileChanged):
        stream.read()


class Interrupted(Inbox):
    """An inbox in which something happens between the listing and the reading of a file."""

    def __init__(self, url: str, happens: Callable[[], None]) -> None:
        super().__init__(url)
        self._happens = happens

    def open(self, file: InboxFile) -> HashedFile:
        self._happens()
        return super().open(file)


@pytest.mark.parametrize("what", ["another version", "gone"])
async def test_a_file_that_changes_meanwhile_is_left_for_the_next_look(
    bucket: Bucket, process: ClearingProcess, what: str
) -> None:
    def happens() -> None:
        bucket.empty()
        if what != "gone":
            bucket.put(NAME, a_file(IPM, [a_row(1)]))

    bucket.put(NAME, a_file(IPM, [a_row(2)]))

    meanwhile = await process.taking_from(Interrupted(bucket.url, happens)).run()
    files = await process.taking_from(Inbox(bucket.url)).run()

    assert meanwhile == []
    assert [file.status for file in files] == ([FileStatus.TAKEN] if what != "gone" else [])
    lines = await process.database.fetch("select attempt_id from clearing_lines")
    assert [row["attempt_id"] for row in lines] == (["att_1"] if what != "gone" else [])


@pytest.mark.parametrize(
    "wrong",
    [
        ("AWS_SECRET_ACCESS_KEY", "another-secret-that-nobody-may-see"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ],
)
async def test_a_bucket_that_cant_be_read_is_waited_for_and_no_key_is_told(
    bucket: Bucket,
    process: ClearingProcess,
    wrong: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    bucket.put(NAME, a_file(IPM, [a_row(1)]))
    with monkeypatch.context() as changed:
        changed.setenv(*wrong)
        with pytest.raises(InboxUnavailable) as away:
            await process.taking_from(Inbox(bucket.url)).run()

    [file] = await process.taking_from(Inbox(bucket.url)).run()

    told = "".join(traceback.format_exception(away.value)) + caplog.text + bucket.log.read_text()
    assert "recon_svc" in told
    assert bucket.secret not in told
    assert "another-secret" not in told
    assert file.status is FileStatus.TAKEN
