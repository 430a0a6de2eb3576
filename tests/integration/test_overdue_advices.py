"""Advices that a network does not acknowledge in its own time: breaks, until it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.database import Database
from recon_svc.domain.resolution import Attempt, AttemptStatus
from tests.integration.clearing_parts import (
    AUTHORIZED,
    ClearingProcess,
    a_process,
    an_attempt,
    without_answer,
)

pytestmark = pytest.mark.integration


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox") as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "overdue", "acknowledged"),
    [
        (
            "reversal_overdue",
            without_answer(1, reversal="overdue"),
            an_attempt(1, status=AttemptStatus.REVERSED, reversal="acknowledged", version=3),
        ),
        (
            "capture_overdue",
            without_answer(1, kind="capture", overdue_since=AUTHORIZED),
            an_attempt(1, kind="capture", version=3),
        ),
        (
            "capture_overdue",
            without_answer(1, kind="capture", overdue_since=AUTHORIZED),
            an_attempt(1, kind="capture", status=AttemptStatus.FAILED, version=3),
        ),
    ],
    ids=["reversal", "capture", "refused capture"],
)
async def test_an_advice_that_is_overdue_is_a_break_until_it_is_answered(
    process: ClearingProcess, kind: str, overdue: Attempt, acknowledged: Attempt
) -> None:
    await process.attempts.take([overdue])
    for _ in range(2):
        await process.clearing.run()
    found = await process.found()
    await process.attempts.take([acknowledged])
    await process.clearing.run()

    assert found == [(kind, "att_1")]
    assert await process.found(ended=True) == found
