"""Lines of clearing files on a real PostgreSQL: matched, settled, or a break."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chassis.database import Database
from recon_svc.domain.clearing_file import FileStatus
from recon_svc.domain.resolution import Attempt, AttemptStatus
from recon_svc.store import judging
from sandbox.networks.cards import Clearing
from tests.integration.clearing_parts import (
    LATE,
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


def in_part(asked_minor: int, approved_minor: int) -> Attempt:
    return an_attempt(
        1, amount_minor=asked_minor, amount_approved_minor=approved_minor, accepts_part=True
    )


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
    "accepted in part": Case(in_part(2198, 1099), "matched"),
    "claims more than the part": Case(in_part(1099, 1000), "amount_over"),
    "claims less than the part": Case(in_part(2198, 1100), "amount_under"),
    "open, less than asked": Case(without_answer(1, amount_minor=2198), "waiting"),
    "open, a part that is accepted": Case(
        without_answer(1, amount_minor=2198, accepts_part=True), "open"
    ),
    "open, more than asked though parts are accepted": Case(
        without_answer(1, amount_minor=1098, accepts_part=True), "waiting"
    ),
    "open, a part in another currency": Case(
        without_answer(1, amount_minor=2198, accepts_part=True, currency="eur"), "waiting"
    ),
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


async def test_breaks_say_what_was_approved_of_an_accepted_part(
    process: ClearingProcess,
) -> None:
    missing = in_part(1099, 600)
    overdue = an_attempt(2, status=AttemptStatus.FAILED, reversal="overdue")
    await process.attempts.take([missing, replace(overdue, amount_approved_minor=500)])
    process.put_file(IPM, 3)
    process.clock.move((LATE - process.clock.now()).total_seconds())
    await process.clearing.run()

    found = await process.database.fetch("select kind, our_amount_minor as ours from breaks")
    ours = {row["kind"]: row["ours"] for row in found}
    assert (ours["missing_at_network"], ours["reversal_overdue"]) == (600, 500)


async def test_a_part_is_settled_by_its_line_and_the_day_ties_out(
    process: ClearingProcess, attempts: FakeAttempts
) -> None:
    was = without_answer(1, amount_minor=2198, accepts_part=True)
    await process.attempts.take([was])
    process.put_file(IPM, 1)
    await process.clearing.run()
    [request] = attempts.settled
    told = an_attempt(1, amount_minor=2198, accepts_part=True, amount_approved_minor=1099)
    await process.attempts.take([replace(told, version=3)])
    process.clock.move(5)
    await process.clearing.run()

    [row] = (await process.report()).rows
    assert request.answer.amount_in_cents == 1099
    assert await process.verdicts() == ["matched"]
    assert await process.found() == []
    assert row.is_tied_out
    assert (row.matched, row.breaks) == (row.declared, ())


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
