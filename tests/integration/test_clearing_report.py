"""The daily report on a real PostgreSQL: every cent that the files declare is accounted for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chassis.database import Database
from tests.integration.clearing_parts import (
    NAME,
    ClearingProcess,
    a_process,
    an_attempt,
    without_answer,
)
from tests.unit.clearing.files import IPM, a_file, a_row, ipm_file, ipm_messages, settle_in_euro

pytestmark = pytest.mark.integration


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox") as running:
        yield running


async def test_the_report_ties_out_to_the_cent(process: ClearingProcess) -> None:
    await process.attempts.take(
        [
            *(an_attempt(1), an_attempt(2, amount_minor=999), an_attempt(4), without_answer(5)),
            an_attempt(7, currency="eur", amount_minor=250),
        ]
    )

    def spoil(messages: list[dict[str, str]]) -> None:
        messages[3]["DE4"] = "0000000010X9"

    rows = [
        *(a_row(number) for number in (1, 2, 3, 4, 4, 5, 6)),
        a_row(7, amount=250, currency="978"),
    ]
    messages = ipm_messages(a_file(IPM, rows))
    spoil(messages)
    process.put(NAME, ipm_file(messages))
    await process.clearing.run()
    process.clock.move(60)
    await process.clearing.run()

    report = await process.report()
    eur, usd = report.rows

    assert all(row.is_tied_out for row in report.rows)
    assert (eur.declared, eur.matched) == (eur.read, eur.declared)
    assert _figures(usd) == {
        "declared": (7, 7693),
        "matched": (2, 2198),
        "waiting": (1, 1099),
        "rejected": (1, 1099),
        "missing_at_us": (1, 1099),
        "amount_over": (1, 1099),
        "duplicate_line": (1, 1099),
    }
    assert [(part.kind, part.ours_minor) for part in usd.breaks if part.ours_minor] == [
        ("amount_over", 999),
        ("duplicate_line", 1099),
    ]
    [files] = report.files
    assert (files.taken, files.refused, files.rejected_records) == (1, 0, 1)


async def test_lines_tie_out_in_the_currency_they_are_settled_in(
    process: ClearingProcess,
) -> None:
    await process.attempts.take([an_attempt(1, amount_minor=1100), an_attempt(2)])
    messages = ipm_messages(a_file(IPM, [a_row(number, amount=1100) for number in (1, 2)]))
    settle_in_euro(messages)
    process.put(NAME, ipm_file(messages))

    await process.clearing.run()

    report = await process.report()
    [eur] = report.rows
    assert eur.is_tied_out
    assert _figures(eur) == {
        "declared": (2, 2000),
        "matched": (1, 1000),
        "waiting": (0, 0),
        "rejected": (0, 0),
        "amount_over": (1, 1000),
    }
    assert [(part.count, part.ours_minor) for part in eur.breaks] == [(1, 1099)]


def _figures(row: Any) -> dict[str, tuple[int, int]]:
    sums = {name: getattr(row, name) for name in ("declared", "matched", "waiting", "rejected")}
    sums |= {str(part.kind): part.theirs for part in row.breaks}
    return {name: (of.lines, of.amount_minor) for name, of in sums.items()}
