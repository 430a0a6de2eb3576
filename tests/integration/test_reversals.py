"""Reversal advices: named once, sent until they are acknowledged; and stray replies."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from tests.integration.network_parts import NETWORKS, a_link
from tests.integration.resolution_parts import UNANSWERED_S, Resolving, said
from tests.integration.txn_parts import AMOUNT_MINOR
from txn_svc.domain.attempt import Attempt, AttemptStatus, ReversalStatus
from txn_svc.domain.transaction import TransactionStatus
from txn_svc.networks.connection import Elements
from txn_svc.networks.pool import NetworkPool

pytestmark = pytest.mark.integration

SUCCEEDED, FAILED = 1, 3  # as the contract numbers outcomes


def _names(book: dict[str, object]) -> list[tuple[str, tuple[str, str, str]]]:
    """Return type, and STAN, DE7 and DE41, of what the network got."""
    messages = book["messages"]
    assert isinstance(messages, list)
    return [
        (message["mti"], (message["stan"], message["at"], message["terminal_id"]))
        for message in messages
    ]


def _reply(attempt: Attempt, mti: str, code: str, **changes: str) -> Elements:
    amount = f"{attempt.amount_minor:012d}"
    return {"t": mti, "3": "000000", "4": amount, "37": attempt.rrn, "39": code, **changes}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("behavior", ["answer lost", "never received", "closed", "decline lost"])
async def test_an_unanswered_attempt_is_undone_and_the_books_agree(
    resolving: Resolving, network: str, behavior: str
) -> None:
    attempt = await resolving.charged(network, behavior)
    await resolving.reverse(attempt)

    await resolving.send_due()

    transaction, after = await resolving.exchange(attempt)
    book = await resolving.book(attempt)
    code = "25" if behavior == "never received" else "00"
    assert book["approved"] == book["reversed"]
    assert said(after) == [("0100", None), ("0420", None), ("0430", code)]
    assert (transaction.status, after.status) == (TransactionStatus.FAILED, AttemptStatus.REVERSED)
    assert await resolving.history(attempt) == ["recorded", "timeout", "timeout", "reversed"]
    assert resolving.intents.told == [(transaction.id, FAILED)]
    assert await resolving.send_due() == 0


@pytest.mark.parametrize("network", NETWORKS)
async def test_an_advice_is_repeated_under_its_name_past_its_schedule_until_it_is_acknowledged(
    resolving: Resolving, network: str
) -> None:
    pool = resolving.networks.pools[network]
    rules = pool.rules
    short = rules.reversal.model_copy(update={"repeat_s": (0.5,)})
    pool.rules = rules.model_copy(update={"reversal": short})
    attempt = await resolving.charged(network, "three answers lost")
    await resolving.reverse(attempt)
    seen = []

    try:
        for pause_s in (0, 0.4, 0.1, 59, 1):
            resolving.move(pause_s)
            sent = await resolving.send_due()
            reversal = (await resolving.attempt(attempt)).reversal
            seen.append((sent, reversal and reversal.status))
    finally:
        pool.rules = rules

    assert seen == [
        (1, ReversalStatus.PENDING),
        (0, ReversalStatus.PENDING),
        (1, ReversalStatus.OVERDUE),
        (0, ReversalStatus.OVERDUE),
        (1, ReversalStatus.ACKNOWLEDGED),
    ]
    (original, _), *advices = _names(await resolving.book(attempt))
    assert [original, *(mti for mti, _ in advices)] == ["0100", "0420", "0421", "0421"]
    assert len({name for _, name in advices}) == 1
    assert advices[0][1][0] != attempt.stan
    assert await resolving.history(attempt) == ["recorded", *["timeout"] * 3, "reversed"]


async def test_a_claimed_reversal_whose_process_died_comes_back_as_a_repeat_of_the_same_advice(
    resolving: Resolving,
) -> None:
    attempt = await resolving.charged("visa_sim", "three answers lost")
    await resolving.reverse(attempt)
    [(_, claimed)] = await resolving.resolver.claim_reversals(1000)
    dying = asyncio.create_task(resolving.resolver.send_reversal(claimed))
    await resolving.until_booked(attempt, messages=2)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)

    while_leased = await resolving.send_due(resolving.other_resolver)
    resolving.move(10.9)
    still_leased = await resolving.send_due(resolving.other_resolver)
    resolving.move(0.1)
    after_lease = await resolving.send_due(resolving.other_resolver)

    assert (while_leased, still_leased, after_lease) == (0, 0, 1)
    _, first, second = _names(await resolving.book(attempt))
    assert (first[0], second[0]) == ("0420", "0421")
    assert first[1] == second[1]


async def test_two_processes_don_t_claim_the_same_reversals(resolving: Resolving) -> None:
    for number in range(4):
        step = await resolving.recorded(key=f"key-{number}")
        resolving.move(UNANSWERED_S)
        await resolving.reverse(step.attempt)

    async with resolving.process.database.transaction() as first:
        await first.execute(
            sa.text(
                "select from attempts where merchant_id = :id and reversal = 'pending' "
                "order by id limit 2 for update"
            ),
            {"id": resolving.caller.merchant_id},
        )
        others = await resolving.other_resolver.claim_reversals(1000)
    mine = await resolving.resolver.claim_reversals(1000)

    claimed = [
        [attempt.id for _, attempt in claims if attempt.merchant_id == resolving.caller.merchant_id]
        for claims in (others, mine)
    ]
    assert [len(ids) for ids in claimed] == [2, 2]
    assert len({*claimed[0], *claimed[1]}) == 4


async def test_a_reversal_waits_for_its_network_by_the_schedule_and_says_nothing_was_sent(
    resolving: Resolving,
) -> None:
    step = await resolving.recorded()
    resolving.move(UNANSWERED_S)
    await resolving.reverse(step.attempt)
    pool = resolving.networks.pools["visa_sim"]
    away = NetworkPool("visa_sim", a_link("visa_sim"), pool.rules)
    resolving.networks.pools["visa_sim"] = away
    try:
        await resolving.send_due()
    finally:
        resolving.networks.pools["visa_sim"] = pool

    waiting = await resolving.attempt(step.attempt)
    resolving.move(pool.rules.reversal.repeat_s[0])
    sent = await resolving.send_due()

    assert waiting.messages == ()
    assert waiting.reversal is not None
    assert (waiting.reversal.tries, waiting.reversal.stan, sent) == (1, None, 1)
    assert said(await resolving.attempt(step.attempt)) == [("0420", None), ("0430", "25")]


async def test_a_reply_that_comes_between_the_claim_and_the_advice_does_not_hold_it_up(
    resolving: Resolving,
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")
    await resolving.reverse(attempt)
    [(_, claimed)] = await resolving.resolver.claim_reversals(1000)
    resolving.other_resolver.take_stray("visa_sim", _reply(attempt, "0110", "00"))
    await resolving.other_resolver.stop()

    await resolving.resolver.send_reversal(claimed)

    after = await resolving.attempt(attempt)
    assert after.status is AttemptStatus.REVERSED
    assert said(after)[1:] == [("0110", "00"), ("0420", None), ("0430", "00")]


@pytest.mark.parametrize("network", NETWORKS)
async def test_an_answer_that_comes_after_the_timeout_settles_the_attempt(
    resolving: Resolving, network: str
) -> None:
    attempt = await resolving.charged(network, "answer late")

    await resolving.until_settled(attempt)
    await resolving.resolver.stop()  # the intent is told after that

    transaction, after = await resolving.exchange(attempt)
    assert (transaction.status, after.status) == (
        TransactionStatus.SUCCEEDED,
        AttemptStatus.SUCCEEDED,
    )
    assert said(after) == [("0100", None), ("0110", "00")]
    assert resolving.intents.told == [(transaction.id, SUCCEEDED)]


STRAYS = [
    (("0110", "00"), {}, AttemptStatus.SUCCEEDED),
    (("0110", "05"), {}, AttemptStatus.FAILED),
    (("0110", "91"), {}, AttemptStatus.TIMEOUT),
    (("0110", "10"), {"4": f"{AMOUNT_MINOR // 2:012d}"}, AttemptStatus.FAILED),
    (("0110", "00"), {"3": "310000"}, AttemptStatus.TIMEOUT),
    (("0430", "00"), {}, AttemptStatus.TIMEOUT),
    (("0430", "12"), {}, AttemptStatus.TIMEOUT),
    (("0410", "00"), {}, AttemptStatus.TIMEOUT),
]


@pytest.mark.parametrize(("reply", "changes", "status"), STRAYS)
async def test_a_stray_reply_settles_by_the_rule_or_is_evidence(
    resolving: Resolving, reply: tuple[str, str], changes: dict[str, str], status: AttemptStatus
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")

    resolving.other_resolver.take_stray("visa_sim", _reply(attempt, *reply, **changes))
    await resolving.other_resolver.stop()

    after = await resolving.attempt(attempt)
    assert after.status is status
    assert said(after) == [("0100", None), reply]
    assert (after.reversal is not None) == (reply == ("0110", "10"))


@pytest.mark.parametrize(
    ("network", "changes"),
    [
        ("visa_sim", {"37": "ZZZZZZZZZZZZ"}),
        ("visa_sim", {"37": ""}),
        ("visa_sim", {"t": "0210"}),
        ("visa_sim", {"t": "0100"}),
        ("mastercard_sim", {}),
    ],
)
async def test_a_reply_that_is_about_nothing_of_ours_changes_nothing(
    resolving: Resolving, network: str, changes: dict[str, str]
) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")

    resolving.resolver.take_stray(network, _reply(attempt, "0110", "00") | changes)
    await resolving.resolver.stop()

    assert await resolving.attempt(attempt) == attempt


async def test_the_same_stray_twice_at_two_processes_settles_once(resolving: Resolving) -> None:
    attempt = await resolving.charged("visa_sim", "answer lost")

    for resolver in (resolving.resolver, resolving.other_resolver) * 2:
        resolver.take_stray("visa_sim", _reply(attempt, "0110", "00"))
    await resolving.resolver.stop()
    await resolving.other_resolver.stop()

    after = await resolving.attempt(attempt)
    assert after.status is AttemptStatus.SUCCEEDED
    assert said(after) == [("0100", None), *[("0110", "00")] * 4]
    assert await resolving.history(attempt) == ["recorded", "timeout", "resolved"]
    assert len(resolving.intents.told) == 1


async def test_a_late_acknowledgment_ends_a_reversal_that_got_no_answer(
    resolving: Resolving,
) -> None:
    attempt = await resolving.charged("visa_sim", "three answers lost")
    await resolving.reverse(attempt)
    await resolving.send_due()

    resolving.other_resolver.take_stray("visa_sim", _reply(attempt, "0430", "00"))
    await resolving.other_resolver.stop()

    resolving.move(1000)
    transaction, after = await resolving.exchange(attempt)
    assert (transaction.status, after.status) == (TransactionStatus.FAILED, AttemptStatus.REVERSED)
    assert await resolving.send_due() == 0


async def test_an_acknowledgment_that_comes_while_its_own_try_times_out_is_the_last_word(
    resolving: Resolving,
) -> None:
    attempt = await resolving.charged("visa_sim", "three answers lost")
    await resolving.reverse(attempt)
    sending = asyncio.create_task(resolving.send_due())
    await resolving.until_booked(attempt, messages=2)

    resolving.other_resolver.take_stray("visa_sim", _reply(attempt, "0430", "00"))
    await resolving.other_resolver.stop()
    await sending

    after = await resolving.attempt(attempt)
    assert after.status is AttemptStatus.REVERSED
    assert said(after)[1:] == [("0430", "00"), ("0420", None)]
    assert await resolving.history(attempt) == ["recorded", "timeout", "timeout", "reversed"]


async def test_the_stans_of_open_exchanges_and_advices_are_not_used_until_they_are_over(
    resolving: Resolving,
) -> None:
    attempt = await resolving.charged("visa_sim", "three answers lost")
    pool, other_pool = (
        pools["visa_sim"] for pools in (resolving.networks.pools, resolving.networks.other_pools)
    )
    after_timeout = pool.held_stans
    await resolving.reverse(attempt)
    await resolving.send_due()
    reversal = (await resolving.attempt(attempt)).reversal
    assert reversal is not None
    open_stans = {attempt.stan, str(reversal.stan)}
    after_advice = pool.held_stans
    await resolving.other_resolver.hold_open_stans()
    after_restart = other_pool.held_stans

    for resolver in (resolving.resolver, resolving.other_resolver):
        resolver.take_stray("visa_sim", _reply(attempt, "0430", "00"))
        await resolver.stop()
    await resolving.resolver.hold_open_stans()
    await resolving.other_resolver.hold_open_stans()

    assert attempt.stan in after_timeout
    assert open_stans <= after_advice
    assert open_stans <= after_restart
    assert not open_stans & (pool.held_stans | other_pool.held_stans)


async def test_a_held_stan_is_passed_over(resolving: Resolving) -> None:
    pool = resolving.networks.pools["visa_sim"]
    with pool.reserve() as reservation:
        at = int(reservation.trace.stan)
    held = {f"{(at + ahead) % 999_999 + 1:06d}" for ahead in range(-2, 50)}
    pool.hold(*held)

    try:
        traces = []
        for _ in range(4):
            with pool.reserve() as reservation:
                traces.append(reservation.trace)
    finally:
        pool.let_go(*held)

    mine = [trace.stan for trace in traces if trace.terminal_id == reservation.trace.terminal_id]
    assert not held & set(mine)
