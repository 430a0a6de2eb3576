"""Lines of clearing files about held funds: it is their capture that a network presents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.database import Database
from chassis.ids import AttemptId
from recon_svc.domain.resolution import AttemptStatus
from tests.integration.clearing_parts import LATE, ClearingProcess, a_process, an_attempt
from tests.unit.clearing.files import IPM, NETWORKS

pytestmark = pytest.mark.integration


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox") as running:
        yield running


@pytest.mark.parametrize("network", NETWORKS)
async def test_held_funds_are_matched_with_their_capture_and_missing_only_with_one(
    process: ClearingProcess, network: str
) -> None:
    held = [an_attempt(n, network, is_hold=True, amount_minor=5000) for n in (1, 2, 3)]
    captures = [
        an_attempt(
            n,
            network,
            id=AttemptId(f"att_capture_{n}"),
            kind="capture",
            stan=f"{900 + n:06d}",
            network_trace_id=None,
        )
        for n in (1, 2)
    ]
    await process.attempts.take([*held, *captures])
    process.put_file(network, 1)
    await process.clearing.run()
    process.clock.move((LATE - process.clock.now()).total_seconds())
    await process.clearing.run()

    missing = [kind for kind in await process.found() if kind[0] == "missing_at_network"]
    [line] = await process.database.fetch("select attempt_id from clearing_lines")
    assert await process.verdicts() == ["matched"]
    assert line["attempt_id"] == "att_capture_1"
    assert missing == [("missing_at_network", "att_capture_2")]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("is_captured_after", [True, False])
async def test_a_refused_capture_is_not_what_a_line_presents_unless_there_is_no_other(
    process: ClearingProcess, network: str, *, is_captured_after: bool
) -> None:
    held = an_attempt(1, network, is_hold=True, amount_minor=5000)
    refused, captured = (
        an_attempt(1, network, id=AttemptId(f"att_1{number}"), kind="capture", status=status)
        for number, status in (("a", AttemptStatus.FAILED), ("b", AttemptStatus.SUCCEEDED))
    )
    captures = [captured, refused] if is_captured_after else [refused]
    unnamed = [replace(capture, stan="900001", network_trace_id=None) for capture in captures]
    await process.attempts.take([held, *unnamed])
    process.put_file(network, 1)

    await process.clearing.run()

    verdict = "matched" if is_captured_after else "presentment_without_authorization"
    [line] = await process.database.fetch("select attempt_id from clearing_lines")
    assert await process.verdicts() == [verdict]
    assert line["attempt_id"] == ("att_1b" if is_captured_after else "att_1a")


async def test_a_presentment_of_what_was_only_held_is_a_break(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1, is_hold=True)])
    process.put_file(IPM, 1)

    await process.clearing.run()

    assert await process.found() == [("presentment_without_authorization", "att_1")]
