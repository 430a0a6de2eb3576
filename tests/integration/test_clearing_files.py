"""Clearing files on a real PostgreSQL: taken whole, once, or refused whole with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.database import Database
from recon_svc.clearing.inbox import InboxUnavailable
from recon_svc.domain.clearing_file import FileStatus
from tests.integration.clearing_parts import NAME, ClearingProcess, a_process, an_attempt
from tests.integration.owner import as_owner
from tests.unit.clearing.files import (
    IPM,
    TC33,
    a_file,
    a_row,
    ipm_file,
    ipm_messages,
    ipm_with,
    put,
    tc33_with,
)

pytestmark = pytest.mark.integration

NOTHING = {"lines": 0, "rejects": 0, "totals": 0, "breaks": 0, "files": 0}


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox") as running:
        yield running


async def test_a_record_that_cant_be_read_is_left_out_alone(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1), an_attempt(3, amount_minor=1)])

    def spoil(messages: list[dict[str, str]]) -> None:
        messages[2]["DE4"] = "00000000025O"

    process.put("mastercard_sim-20261126-001.ipm", ipm_with(spoil))

    [file] = await process.clearing.run()

    assert (file.status, file.lines, file.rejected) == (FileStatus.TAKEN, 2, 1)
    assert await process.verdicts() == ["matched", "matched"]
    [reject] = await as_owner(
        process.database, "select number, field, reason from clearing_rejects"
    )
    assert dict(reject) == {"number": 3, "field": "DE4", "reason": "is not 12 digits"}


GOOD = a_file(IPM, [a_row(number) for number in range(1, 31)])
VISA_NAME = "visa_sim-20261126-001.tc33"
BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "truncated": (NAME, GOOD[: 2 * 1014], "end of file is missing: the file is truncated"),
    "wrong block size": (NAME, GOOD[:1000] + GOOD[1010:], "block is not of 1014 bytes"),
    "wrong encoding": (
        NAME,
        ipm_file(ipm_messages(GOOD), encoding="latin-1"),
        "encoding is ASCII, not EBCDIC",
    ),
    "wrong totals": (
        NAME,
        ipm_with(lambda messages: messages[1].update(DE4="000000001100", DE5="000000001100")),
        "sum of amounts differs from the file's own in usd",
    ),
    "empty": (NAME, b"", "header is missing: the file is empty"),
    "visa truncated": (VISA_NAME, a_file(TC33)[:500], "record is not of 168 bytes"),
    "visa wrong totals": (
        VISA_NAME,
        tc33_with(lambda rows: rows.__setitem__(1, put(rows[1], 65, "0"))),
        "sum of amounts differs from the file's own",
    ),
    "visa wrong encoding": (
        VISA_NAME,
        a_file(TC33).decode().encode("cp500"),
        "encoding is EBCDIC, not ASCII",
    ),
    "unknown network": ("amex_sim-20261126-001.ipm", GOOD, "name begins with no network"),
    "the other network's": (VISA_NAME, GOOD, "record is not of 168 bytes"),
}


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_bad_file_is_refused_whole_with_its_reason(
    process: ClearingProcess, name: str
) -> None:
    file_name, raw, why = BAD_FILES[name]
    process.put(file_name, raw)

    [file] = await process.clearing.run()
    again = await process.clearing.run()

    assert file.status is FileStatus.REFUSED
    assert file.name == file_name
    assert file.refusal is not None
    assert f"{file.refusal.field} {file.refusal.reason}".startswith(why)
    assert await process.rows() == NOTHING
    assert again == []


async def test_a_file_of_2_gb_of_nothing_is_refused_at_its_first_block(
    process: ClearingProcess,
) -> None:
    with (process.inbox / NAME).open("wb") as stream:
        stream.truncate(2 << 30)

    [file] = await process.clearing.run()

    assert file.status is FileStatus.REFUSED
    assert await process.rows() == NOTHING


async def test_a_file_id_is_taken_once(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1)])
    process.put_file(IPM, 1)
    await process.clearing.run()
    before = await process.rows()
    process.put("mastercard_sim-again.ipm", a_file(IPM, [a_row(1)]))
    process.put("mastercard_sim-other.ipm", a_file(IPM, [a_row(2), a_row(3)]))

    refused = await process.clearing.run()

    for file in refused:
        assert file.status is FileStatus.REFUSED
        assert file.refusal is not None
        assert file.refusal.field == "file id"
        assert file.refusal.reason == f"was taken before, from {NAME}"
    assert len(refused) == 2
    assert await process.rows() == before


async def test_an_inbox_that_is_away_is_looked_into_again(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1)])
    process.put_file(IPM, 1)
    await asyncio.to_thread(process.inbox.rename, process.inbox.with_name("away"))
    with pytest.raises(InboxUnavailable):
        await process.clearing.run()
    await asyncio.to_thread(process.inbox.with_name("away").rename, process.inbox)

    [file] = await process.clearing.run()

    assert file.status is FileStatus.TAKEN


async def test_a_refused_file_may_come_again_put_right(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1)])
    good = a_file(IPM, [a_row(1)])
    process.put(NAME, good[:-1014])
    [refused] = await process.clearing.run()
    process.put(NAME, good)

    [taken] = await process.clearing.run()

    assert (refused.status, taken.status) == (FileStatus.REFUSED, FileStatus.TAKEN)
    assert await process.verdicts() == ["matched"]


async def test_unfinished_files_and_folders_are_left_alone(process: ClearingProcess) -> None:
    process.put(f".{NAME}.part", GOOD[:700])
    await asyncio.to_thread((process.inbox / "done").mkdir)
    process.put(f"done/{NAME}", GOOD)

    assert await process.clearing.run() == []
