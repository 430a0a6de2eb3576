"""Lines of clearing files on a real PostgreSQL: matched, settled, or a break; and the report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chassis.database import Database
from chassis.ids import AttemptId
from recon_svc.domain.clearing_file import FileStatus
from recon_svc.domain.resolution import Attempt, AttemptStatus
from recon_svc.store import judging
from sandbox.networks.cards import Clearing
from tests.integration.clearing_parts import (
    LATE,
    NAME,
    ClearingProcess,
    FakeAttempts,
    a_process,
    an_attempt,
    without_answer,
)
from tests.unit.clearing.files import (
    IPM,
    NETWORKS,
    TC33,
    a_file,
    a_row,
    ipm_file,
    ipm_messages,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def attempts() -> FakeAttempts:
    return FakeAttempts()


@pytest.fixture
async def process(
    recon_database: Database, tmp_path: Path, attempts: FakeAttempts
) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox", attempts) as running:
        yield running


@pytest.mark.parametrize("network", NETWORKS)
async def test_lines_match_by_the_networks_own_id(process: ClearingProcess, network: str) -> None:
    await process.attempts.take([an_attempt(number, network) for number in (1, 2, 3)])
    name = process.put_file(network, 1, 2, 3)

    [file] = await process.clearing.run()

    assert (file.name, file.status, file.lines, file.rejected) == (name, FileStatus.TAKEN, 3, 0)
    assert await process.verdicts() == ["matched"] * 3
    assert await process.found() == []


@pytest.mark.parametrize("network", NETWORKS)
async def test_without_that_id_lines_match_by_rrn_and_date(
    process: ClearingProcess, network: str
) -> None:
    await process.attempts.take(
        [
            an_attempt(1, network, network_trace_id=None),
            an_attempt(2, network, network_trace_id=None, transmitted_at="1125101500"),
        ]
    )
    process.put_file(network, 1, 2)

    await process.clearing.run()

    assert await process.verdicts() == ["matched", "waiting"]


async def test_a_stan_that_differs_is_another_exchange(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1, TC33, network_trace_id=None, stan="999999")])
    process.put_file(TC33, 1)

    await process.clearing.run()

    assert await process.verdicts() == ["waiting"]


async def test_an_arn_that_was_matched_before_leads_to_its_attempt(
    process: ClearingProcess,
) -> None:
    await process.attempts.take([an_attempt(1)])
    process.put_file(IPM, 1)
    await process.clearing.run()
    [old] = [row for row in ipm_messages(a_file(IPM, [a_row(1)])) if "DE31" in row]

    def present_again(messages: list[dict[str, str]]) -> None:
        for message in messages[1:2]:
            message["DE31"] = old["DE31"]

    other = ipm_messages(a_file(IPM, [a_row(9)], 1))
    other[0]["DE48"] = other[0]["DE48"].replace("00001", "00002")
    other[-1]["DE48"] = other[-1]["DE48"].replace("0000200001", "0000200002")
    present_again(other)
    process.put("mastercard_sim-20261126-002.ipm", ipm_file(other))

    [file] = await process.clearing.run()

    assert file.refusal is None
    assert await process.verdicts() == ["matched", "duplicate_line"]
    assert await process.found() == [("duplicate_line", "att_1")]


@dataclass(frozen=True, slots=True)
class Case:
    """What a line of 10.99 usd comes to beside an attempt."""

    attempt: Attempt
    verdict: str

    @property
    def is_break(self) -> bool:
        return self.verdict not in {"matched", "waiting", "open"}


CASES = {
    "agreed": Case(an_attempt(1), "matched"),
    "claims more": Case(an_attempt(1, amount_minor=1000), "amount_over"),
    "claims less": Case(an_attempt(1, amount_minor=1100), "amount_under"),
    "another currency": Case(an_attempt(1, currency="eur"), "currency_mismatch"),
    "declined": Case(
        an_attempt(1, status=AttemptStatus.FAILED), "presentment_without_authorization"
    ),
    "reversed": Case(
        an_attempt(1, status=AttemptStatus.REVERSED, reversal="acknowledged"),
        "presentment_after_reversal",
    ),
    "failed and undone": Case(
        an_attempt(1, status=AttemptStatus.FAILED, reversal="acknowledged"),
        "presentment_after_reversal",
    ),
    "being undone": Case(without_answer(1, reversal="pending"), "waiting"),
    "failed, being undone": Case(
        an_attempt(1, status=AttemptStatus.FAILED, reversal="pending"), "waiting"
    ),
    "without an answer": Case(without_answer(1), "open"),
    "past its deadline": Case(without_answer(1, status=AttemptStatus.RECORDED), "open"),
    "still running": Case(
        without_answer(1, status=AttemptStatus.RECORDED, deadline=int(LATE.timestamp())), "waiting"
    ),
    "open, another amount": Case(without_answer(1, amount_minor=1000), "waiting"),
    "open, another currency": Case(without_answer(1, currency="eur"), "waiting"),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_line_comes_to_what_its_attempt_says(
    process: ClearingProcess, attempts: FakeAttempts, name: str
) -> None:
    case = CASES[name]
    await process.attempts.take([case.attempt])
    process.put_file(IPM, 1)

    await process.clearing.run()

    assert await process.verdicts() == [case.verdict]
    assert await process.found() == ([(case.verdict, "att_1")] if case.is_break else [])
    assert len(attempts.settled) == (case.verdict == "open")


def test_every_verdict_of_a_known_attempt_has_a_case() -> None:
    told = {
        part.split("'")[1]
        for part in judging.JUDGE.split("judged as (")[1].split("changed as")[0].split("then ")[1:]
    } | {"matched"}

    assert told == {case.verdict for case in CASES.values()} | {"missing_at_us", "duplicate_line"}


async def test_an_open_attempt_is_settled_by_its_line(
    process: ClearingProcess, attempts: FakeAttempts
) -> None:
    attempts.refuses = True
    await process.attempts.take([without_answer(1)])
    process.put_file(IPM, 1)
    await process.clearing.run()
    attempts.refuses = False
    process.clock.move(5)
    await process.clearing.run()
    await process.attempts.take([an_attempt(1, version=3)])
    process.clock.move(5)
    await process.clearing.run()

    [request] = attempts.settled
    assert (request.merchant_id, request.attempt_id) == (an_attempt(1).merchant_id, "att_1")
    answer = request.answer
    assert (answer.response_code, answer.amount_in_cents) == ("00", 1099)
    assert (answer.approval_code, answer.network_trace_id) == ("000001", "TRRN000000001")
    assert await process.verdicts() == ["matched"]
    assert await process.found() == []


async def test_a_line_waits_for_the_end_of_a_reversal(process: ClearingProcess) -> None:
    await process.attempts.take([without_answer(1, reversal="pending")])
    process.put_file(IPM, 1)
    await process.clearing.run()
    before = await process.found()
    await process.attempts.take(
        [an_attempt(1, status=AttemptStatus.REVERSED, reversal="acknowledged", version=3)]
    )
    process.clock.move(5)
    await process.clearing.run()

    assert before == []
    assert await process.found() == [("presentment_after_reversal", "att_1")]


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_line_that_comes_twice_is_a_duplicate_in_one_file_and_in_two(
    process: ClearingProcess, network: str
) -> None:
    await process.attempts.take([an_attempt(1, network), an_attempt(2, network)])
    process.put_file(network, 1, clearing=Clearing.TWICE)
    process.put_file(network, 1, 2, file_number=2)

    await process.clearing.run()

    assert await process.verdicts() == ["matched", "duplicate_line", "duplicate_line", "matched"]
    assert await process.found() == [("duplicate_line", "att_1")] * 2


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


async def test_a_presentment_of_what_was_only_held_is_a_break(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1, is_hold=True)])
    process.put_file(IPM, 1)

    await process.clearing.run()

    assert await process.found() == [("presentment_without_authorization", "att_1")]


async def test_what_is_unknown_gets_time_to_become_known(process: ClearingProcess) -> None:
    process.put_file(IPM, 1, 2)
    await process.clearing.run()
    at_first = await process.found()
    for _ in range(2):  # the second time proves that there is no second break
        process.clock.move(60)
        await process.clearing.run()
    unknown = await process.found()
    await process.attempts.take([an_attempt(1)])
    process.clock.move(3600)
    await process.clearing.run()

    assert at_first == []
    assert unknown == [("missing_at_us", None)] * 2
    assert await process.found(ended=True) == [("missing_at_us", None)]
    assert await process.verdicts() == ["matched", "missing_at_us"]


async def test_what_the_file_lacks_is_missing_once_the_network_had_its_time(
    process: ClearingProcess,
) -> None:
    late = int(LATE.timestamp())
    await process.attempts.take(
        [
            *(an_attempt(1), an_attempt(2), an_attempt(3, TC33)),
            an_attempt(4, status=AttemptStatus.FAILED),
            an_attempt(5, created=late, deadline=late),  # of the next business day
            an_attempt(6, reversal="pending"),
        ]
    )
    process.put_file(IPM, 1)
    await process.clearing.run()
    early = await process.found()
    process.clock.move((LATE - process.clock.now()).total_seconds())
    for _ in range(2):
        await process.clearing.run()
    missing = await process.found()
    process.put_file(IPM, 2, file_number=2)
    await process.clearing.run()

    assert early == []
    # visa_sim wrote no file, so nothing is missing in it: it is late.
    assert missing == [("late_file", None), ("missing_at_network", "att_2")]
    assert await process.found(ended=True) == [("missing_at_network", "att_2")]


async def test_a_file_is_late_when_something_should_be_in_it(process: ClearingProcess) -> None:
    await process.attempts.take([an_attempt(1)])
    await process.clearing.run()
    early = await process.found()
    process.clock.move((LATE - process.clock.now()).total_seconds())
    for _ in range(2):
        await process.clearing.run()
    late = await process.found()
    process.put_file(IPM, 1)
    await process.clearing.run()

    assert early == []
    assert late == [("late_file", None)]
    assert await process.found(ended=True) == late


async def test_a_reversal_that_is_overdue_is_a_break_until_it_is_acknowledged(
    process: ClearingProcess,
) -> None:
    await process.attempts.take([without_answer(1, reversal="overdue")])
    for _ in range(2):
        await process.clearing.run()
    overdue = await process.found()
    await process.attempts.take(
        [an_attempt(1, status=AttemptStatus.REVERSED, reversal="acknowledged", version=3)]
    )
    await process.clearing.run()

    assert overdue == [("reversal_overdue", "att_1")]
    assert await process.found(ended=True) == overdue


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


def _figures(row: Any) -> dict[str, tuple[int, int]]:
    sums = {name: getattr(row, name) for name in ("declared", "matched", "waiting", "rejected")}
    sums |= {str(part.kind): part.theirs for part in row.breaks}
    return {name: (of.lines, of.amount_minor) for name, of in sums.items()}
