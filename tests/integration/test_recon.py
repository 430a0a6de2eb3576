"""Reconciliation's rows on a real PostgreSQL: what events make of them, and who works on which."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from chassis.consumer import PoisonRecord, Record
from chassis.database import Database
from chassis.identity import Caller
from recon_svc.domain.resolution import CHECK_AGAIN_S, GRACE_S, Attempt, AttemptStatus
from tests.integration.check_parts import checks, refusing_check
from tests.integration.owner import as_owner
from tests.integration.recon_parts import (
    AWAY,
    CREATED,
    DEADLINE,
    WRONG_STATE,
    FakeAttempts,
    Outcome,
    ReconProcess,
    a_record,
    an_attempt,
)

pytestmark = pytest.mark.integration

RESPONSE_TIMEOUT, SUCCEEDED, FAILED = 3, 1, 2  # as the contract numbers them
RULES = [
    ("mode = 'prod'", "mode_check"),
    ("status = 'lost', resolve_after = null", "status_check"),
    ("reversal = 'lost'", "reversal_check"),
    ("amount_minor = 0", "amount_minor_check"),
    ("amount_minor = 100000000", "amount_minor_check"),
    ("currency = 'USD'", "currency_check"),
    ("stan = '1'", "stan_check"),
    ("rrn = 'short'", "rrn_check"),
    ("transmitted_at = 'noon'", "transmitted_at_check"),
    ("version = 0", "version_check"),
    ("inquiries = -1", "inquiries_check"),
    ("status = 'failed', resolve_after = now()", "check"),
    ("kind = 'refund', resolve_after = null", "kind_check"),
    ("kind = 'capture'", "check1"),
    ("overdue_since = now()", "check2"),
    ("kind = 'capture', resolve_after = null, status = 'failed', overdue_since = now()", "check2"),
    ("amount_approved_minor = 0", "amount_approved_minor_check"),
    ("amount_approved_minor = amount_minor + 1", "check3"),
]


@dataclass(frozen=True, slots=True)
class Recon:
    """Two processes on one database, and their neighbour."""

    process: ReconProcess
    other: ReconProcess
    attempts: FakeAttempts
    caller: Caller

    def attempt(
        self, id_: str = "att_1", status: AttemptStatus = AttemptStatus.TIMEOUT, **changes: object
    ) -> Attempt:
        """Return the merchant's attempt as an event tells of it."""
        return replace(an_attempt(self.caller.merchant_id, status, id_=id_), **changes)  # type: ignore[arg-type]

    def move(self, seconds: float) -> None:
        """Let time pass for both processes."""
        self.process.clock.move(seconds)
        self.other.clock.move(seconds)


@pytest.fixture
async def recon(recon_databases: list[Database], caller: Caller) -> AsyncIterator[Recon]:
    attempts = FakeAttempts()
    async with attempts.served() as channel:
        processes = [ReconProcess(database, channel, caller) for database in recon_databases]
        yield Recon(processes[0], processes[1], attempts, caller)


async def test_events_become_a_row_whose_newest_version_counts(recon: Recon) -> None:
    recorded = recon.attempt(status=AttemptStatus.RECORDED, version=1)
    unanswered = recon.attempt(version=2)
    settled = recon.attempt(status=AttemptStatus.SUCCEEDED, version=4)

    await recon.process.store.take([recorded])
    first = await recon.process.row("att_1")
    await recon.process.store.take([unanswered, settled, recorded])
    newest = await recon.process.row("att_1")
    await recon.other.store.take([unanswered, replace(settled, version=3)])

    assert (first["status"], first["due"]) == ("recorded", DEADLINE + GRACE_S)
    assert (newest["status"], newest["version"], newest["due"]) == ("succeeded", 4, None)
    assert await recon.process.row("att_1") == newest


async def test_what_was_told_before_is_not_taken_for_news(recon: Recon) -> None:
    first, second = (recon.attempt(version=version) for version in (1, 2))

    taken = [
        await recon.process.store.take([each]) for each in (first, second, first, second, first)
    ]

    assert taken == [{"att_1"}, {"att_1"}, set(), set(), set()]


async def test_what_becomes_of_parts_and_what_was_approved_is_kept(recon: Recon) -> None:
    recorded = recon.attempt(status=AttemptStatus.RECORDED, version=1, accepts_part=True)
    approved = replace(
        recorded, status=AttemptStatus.SUCCEEDED, version=2, amount_approved_minor=549
    )

    await recon.process.consumer.handle([a_record(recorded, "attempt.recorded")])
    first = await recon.process.row("att_1")
    await recon.other.consumer.handle([a_record(approved, "attempt.succeeded")])
    second = await recon.process.row("att_1")

    assert (first["accepts_part"], first["amount_approved_minor"]) == (True, None)
    assert (second["accepts_part"], second["amount_approved_minor"]) == (True, 549)
    assert second["amount_minor"] == 1099


async def test_a_batch_of_events_of_many_attempts_is_written_at_once(recon: Recon) -> None:
    attempts = [recon.attempt(f"att_{number}") for number in range(50)]

    await recon.process.consumer.handle(
        [a_record(attempt, "attempt.timeout") for attempt in (*attempts, *attempts)]
    )

    assert len(await recon.process.claim()) == 50


async def test_a_record_is_kept_as_the_attempt_that_it_tells_of(recon: Recon) -> None:
    attempt = recon.attempt(status=AttemptStatus.REVERSED, reversal="acknowledged", version=5)

    await recon.process.consumer.handle([a_record(attempt, "attempt.reversed")])

    row = await recon.process.row("att_1")
    assert (row["status"], row["reversal"], row["version"]) == ("reversed", "acknowledged", 5)
    assert (row["stan"], row["rrn"], row["mode"]) == (attempt.stan, attempt.rrn, "test")
    assert (row["created"].timestamp(), row["deadline"].timestamp()) == (CREATED, DEADLINE)


async def test_a_record_that_can_not_be_read_is_poison_and_its_batch_writes_nothing(
    recon: Recon,
) -> None:
    good = a_record(recon.attempt(), "attempt.timeout")
    bad = Record("events.attempt", 0, 1, "pi_1", b"\xff\xffno message", "evt_1", "attempt.timeout")

    with pytest.raises(PoisonRecord):
        await recon.process.consumer.handle([good, bad])

    assert await recon.process.claim() == []


async def test_a_transaction_that_was_given_up_leaves_no_row(recon: Recon) -> None:
    record = Record("events.attempt", 0, 1, "pi_1", b"", "evt_1", "transaction.abandoned")

    await recon.process.consumer.handle([record])

    assert await recon.process.claim() == []


async def test_what_is_recorded_is_due_a_moment_after_its_deadline(recon: Recon) -> None:
    await recon.process.store.take([recon.attempt(status=AttemptStatus.RECORDED)])

    recon.move(DEADLINE - CREATED + GRACE_S - 0.1)
    before = await recon.process.claim()
    recon.move(0.1)

    assert before == []
    assert len(await recon.process.claim()) == 1


async def test_two_processes_never_claim_the_same_attempt(recon: Recon) -> None:
    await recon.process.store.take([recon.attempt(f"att_{number}") for number in range(4)])

    async with recon.process.database.transaction() as first:
        await first.exec_driver_sql(
            "select from attempts where merchant_id = %s and id < 'att_2' for update",
            (recon.caller.merchant_id,),
        )
        others = await recon.other.claim()
    mine = await recon.process.claim()

    assert [claim.attempt.id for claim in others] == ["att_2", "att_3"]
    assert [claim.attempt.id for claim in mine] == ["att_0", "att_1"]


async def test_what_a_process_claimed_and_died_over_comes_back_after_its_lease(
    recon: Recon,
) -> None:
    await recon.process.store.take([recon.attempt()])
    [lost] = await recon.process.claim()
    recon.move(11.9)
    while_leased = await recon.other.claim()
    recon.move(0.1)

    [again] = await recon.other.claim()
    await recon.process.store.later(lost, CREATED, 9)

    assert while_leased == []
    assert again.attempt == lost.attempt
    assert again.id != lost.id
    assert (await recon.process.row("att_1"))["inquiries"] == 0


async def test_a_claim_ends_with_the_event_that_comes_meanwhile(recon: Recon) -> None:
    await recon.process.store.take([recon.attempt()])
    [claim] = await recon.process.claim()
    settled = recon.attempt(status=AttemptStatus.SUCCEEDED, version=3)
    await recon.other.store.take([settled])

    await recon.process.store.later(claim, CREATED, 1)

    row = await recon.process.row("att_1")
    assert (row["status"], row["due"], row["inquiries"]) == ("succeeded", None, 0)


async def test_a_network_that_can_not_be_asked_is_told_to_undo_until_the_event_comes(
    recon: Recon,
) -> None:
    await recon.process.store.take([recon.attempt()])

    worked = [await recon.process.work(), await recon.process.work()]
    recon.move(CHECK_AGAIN_S)
    worked.append(await recon.other.work())
    await recon.process.store.take([recon.attempt(version=3, reversal="pending")])
    recon.move(1000)
    worked.append(await recon.other.work())

    assert worked == [1, 0, 1, 0]
    assert recon.attempts.calls == [f"reverse att_1 {RESPONSE_TIMEOUT}"] * 2


async def test_a_network_without_an_answer_is_asked_by_its_schedule_and_then_told_to_undo(
    recon: Recon,
) -> None:
    await recon.process.store.take([recon.attempt(network="mastercard_sim")])

    pauses = []
    for _ in range(4):
        assert await recon.process.work() == 1
        due = (await recon.process.row("att_1"))["due"]
        pauses.append(due - recon.process.clock.now().timestamp())
        recon.move(pauses[-1])

    assert pauses == [0.5, 1, 1, CHECK_AGAIN_S]
    assert recon.attempts.calls == ["inquire att_1"] * 3 + [f"reverse att_1 {RESPONSE_TIMEOUT}"]


@pytest.mark.parametrize(
    ("said", "code", "call"),
    [
        (Outcome.approved, "00", f"resolve att_1 {SUCCEEDED} 00"),
        (Outcome.declined, "05", f"resolve att_1 {FAILED} 05"),
    ],
)
async def test_what_a_network_says_for_certain_settles_the_attempt_with_its_answer(
    recon: Recon, said: int, code: str, call: str
) -> None:
    await recon.process.store.take([recon.attempt(network="mastercard_sim")])
    recon.attempts.said, recon.attempts.code = said, code

    await recon.process.work()

    row = await recon.process.row("att_1")
    assert recon.attempts.calls == ["inquire att_1", call]
    assert (row["due"], row["inquiries"]) == (CREATED + CHECK_AGAIN_S, 1)


async def test_not_found_is_asked_again_before_the_window_is_over_and_failed_after_it(
    recon: Recon,
) -> None:
    await recon.process.store.take([recon.attempt(network="mastercard_sim")])
    recon.attempts.said, recon.attempts.code = Outcome.not_found, "25"

    await recon.process.work()
    before = list(recon.attempts.calls)
    recon.move(DEADLINE - CREATED + 5)
    await recon.process.work()

    assert before == ["inquire att_1"]
    assert recon.attempts.calls[1:] == ["inquire att_1", f"resolve att_1 {FAILED} no answer"]


async def test_not_found_is_asked_about_once_more_at_the_end_of_the_window(recon: Recon) -> None:
    await recon.process.store.take([recon.attempt(network="mastercard_sim")])
    recon.attempts.said, recon.attempts.code = Outcome.not_found, "25"
    recon.move(DEADLINE - CREATED + 4.75)

    await recon.process.work()

    assert (await recon.process.row("att_1"))["due"] == DEADLINE + 5


@pytest.mark.parametrize(
    ("refusal", "pause_s"), [(WRONG_STATE, CHECK_AGAIN_S), (AWAY, 1.0)], ids=["settled", "away"]
)
async def test_a_refused_step_is_not_counted_and_tried_again(
    recon: Recon, refusal: object, pause_s: float
) -> None:
    await recon.process.store.take([recon.attempt(network="mastercard_sim")])
    recon.attempts.refusal = refusal  # type: ignore[assignment]

    await recon.process.work()

    row = await recon.process.row("att_1")
    assert (row["due"], row["inquiries"]) == (CREATED + pause_s, 0)


async def test_what_is_unresolved_or_overdue_is_counted(recon: Recon) -> None:
    now = recon.process.clock.now
    await as_owner(recon.process.database, "delete from attempts")
    await recon.process.store.take(
        [
            recon.attempt("att_1"),
            recon.attempt("att_2", reversal="overdue"),
            recon.attempt("att_3", AttemptStatus.RECORDED),
            recon.attempt("att_4", AttemptStatus.FAILED, reversal="overdue"),
            recon.attempt("att_5", AttemptStatus.SUCCEEDED),
            recon.attempt("att_6", deadline=DEADLINE + 1000),
            recon.attempt("att_7", kind="capture", deadline=DEADLINE + 1000, overdue_since=CREATED),
        ]
    )
    before = await recon.process.store.unresolved(now())
    recon.move(DEADLINE - CREATED + 7)

    assert before == (0, 0.0)
    assert await recon.process.store.unresolved(now()) == (3, 7.0)
    assert await recon.process.store.overdue() == (2, 1)


@pytest.mark.parametrize(("change", "constraint"), RULES)
async def test_the_database_refuses_what_breaks_a_rule_of_attempts(
    recon: Recon, change: str, constraint: str
) -> None:
    attempt = recon.attempt(f"att_{recon.caller.merchant_id}")
    await recon.process.store.take([attempt])

    assert (
        await refusing_check(recon.process.database, "attempts", attempt.id, change) == constraint
    )


async def test_every_check_of_the_database_is_broken_above(recon: Recon) -> None:
    found = await checks(recon.process.database, "attempts")

    assert found == {name for _, name in RULES}
