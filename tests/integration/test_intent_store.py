"""Payment intents on a real PostgreSQL: what two processes or a bad neighbour can't break."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from paymesh.intent.v1.payment_intent_service_pb2 import CreatedRange
from psycopg.errors import CheckViolation

from chassis.errors import IdempotencyKeyReused, ResourceMissing, ServiceUnavailable
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.paging import Page, period_of
from intent_svc.domain.payment_intent import PUBLIC_NAMES, Event, IntentInUnexpectedState, Status
from intent_svc.messages import payment_intent_message
from intent_svc.store.items import Answer, Creation
from tests.fakes import FakeClock
from tests.integration.authz_client import free_port
from tests.integration.check_parts import checks, refusing_check
from tests.integration.intent_parts import (
    HOLD_KEY,
    IntentProcess,
    a_caller,
    a_key,
    a_told,
    a_transaction_id,
    a_wish,
    an_intent,
    answered,
)
from tests.integration.races import race
from tests.integration.settings import database_and_settings

pytestmark = pytest.mark.integration

CREATED = (1, "payment.created")


@pytest.fixture
def process(intent_processes: list[IntentProcess]) -> IntentProcess:
    return intent_processes[0]


@pytest.fixture
def other(intent_processes: list[IntentProcess]) -> IntentProcess:
    return intent_processes[1]


async def test_an_intent_is_stored_as_it_was_answered(
    process: IntentProcess, caller: Caller
) -> None:
    answer = await process.handlers.create(caller, a_wish(description="Order 6735"), None)

    message = answered(answer)
    intent = await process.handlers.get(caller, message.id)
    assert not answer.is_replay
    assert (intent.amount_minor, intent.currency, intent.status) == (1099, "usd", Status.CREATED)
    assert (intent.description, intent.metadata) == ("Order 6735", {"order": "6735"})
    assert message == payment_intent_message(intent)
    assert await process.count(caller, "idempotency_keys") == 0
    assert await process.history(intent.id) == [CREATED]


async def test_without_a_key_each_create_makes_an_intent(
    process: IntentProcess, caller: Caller
) -> None:
    answers = [await process.handlers.create(caller, a_wish(), None) for _ in range(2)]

    assert len({answered(answer).id for answer in answers}) == 2
    assert await process.count(caller) == 2


async def test_a_key_gets_its_first_answer_again_from_every_process(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    first = await process.handlers.create(caller, a_wish(), a_key())
    await process.begin(await process.handlers.get(caller, answered(first).id), "txn_1")

    again = [await one.handlers.create(caller, a_wish(), a_key()) for one in (process, other)]

    assert [answer.is_replay for answer in (first, *again)] == [False, True, True]
    assert {answer.response for answer in again} == {first.response}
    assert await process.count(caller) == 1


async def test_fifty_creates_at_once_with_one_key_make_one_intent(
    process: IntentProcess, caller: Caller
) -> None:
    answers = await asyncio.gather(
        *(process.handlers.create(caller, a_wish(), a_key()) for _ in range(50))
    )

    [response] = {answer.response for answer in answers}
    assert [answer.is_replay for answer in answers].count(False) == 1
    assert await process.count(caller) == 1
    assert await process.history(answered(Answer(response, is_replay=False)).id) == [CREATED]


async def test_two_processes_with_one_key_make_one_intent(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    answers = await race(
        process.database,
        HOLD_KEY,
        *(one.handlers.create(caller, a_wish(), a_key()) for one in (process, other)),
        merchant_id=caller.merchant_id,
        key=a_key().key,
    )

    given = [answer for answer in answers if isinstance(answer, Answer)]
    assert sorted(answer.is_replay for answer in given) == [False, True]
    assert given[0].response == given[1].response
    assert await process.count(caller) == 1


async def test_two_processes_with_the_same_keys_in_opposite_order_don_t_block_each_other(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    keys = [a_key(f"key-{number}") for number in range(100)]

    async def create_all(one: IntentProcess, order: list[Keyed]) -> list[Answer]:
        return await asyncio.gather(
            *(one.handlers.create(caller, a_wish(), keyed) for keyed in order)
        )

    results = await race(
        process.database,
        HOLD_KEY,
        create_all(process, keys),
        create_all(other, keys[::-1]),
        merchant_id=caller.merchant_id,
        key=keys[50].key,
    )

    assert all(isinstance(result, list) for result in results), results
    assert await process.count(caller) == 100


async def test_a_key_with_another_body_is_refused_and_stores_nothing(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    at_once = await asyncio.gather(
        process.handlers.create(caller, a_wish(), a_key()),
        process.handlers.create(caller, a_wish(200), a_key(body="body-2")),
        return_exceptions=True,
    )
    with pytest.raises(IdempotencyKeyReused):
        await other.handlers.create(caller, a_wish(200), a_key(body="body-2"))

    assert [type(result) for result in at_once] == [Answer, IdempotencyKeyReused]
    assert await process.count(caller) == 1


async def test_a_key_belongs_to_one_merchant_and_mode(process: IntentProcess) -> None:
    mine = a_caller()
    callers = [mine, a_caller("live", mine.merchant_id), a_caller()]

    answers = [await process.handlers.create(one, a_wish(), a_key()) for one in callers]

    assert [answer.is_replay for answer in answers] == [False, False, False]


async def test_a_bad_creation_fails_alone(process: IntentProcess, caller: Caller) -> None:
    wishes = [an_intent(caller), an_intent(caller, currency="USD"), an_intent(caller)]

    results = await asyncio.gather(
        *(process.store.creations.submit(Creation(intent, None)) for intent in wishes),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Answer, CheckViolation, Answer]
    assert await process.count(caller) == 2
    assert [await process.history(intent.id) for intent in wishes] == [[CREATED], [], [CREATED]]


async def test_a_process_sees_at_once_what_another_has_written(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    intent = await process.intent(caller)
    await other.handlers.get(caller, intent.id)

    canceled = (await process.handlers.cancel(caller, intent.id, None)).intent

    assert await other.handlers.get(caller, intent.id) == canceled
    with pytest.raises(IntentInUnexpectedState):
        await other.begin(intent, a_transaction_id(caller))


async def test_a_process_refuses_nothing_for_a_state_that_another_has_ended(
    process: IntentProcess, other: IntentProcess, caller: Caller
) -> None:
    first, second = a_transaction_id(caller), a_transaction_id(caller)
    intent = await process.intent(caller, Status.PROCESSING, first)

    await other.handlers.apply_outcome(a_told(intent, first, Event.FAIL))
    again = await process.begin(intent, second)

    assert (again.status, again.latest_transaction_id) == (Status.PROCESSING, second)
    assert again.version == 4


async def test_another_merchant_s_or_mode_s_intent_does_not_exist(
    process: IntentProcess, caller: Caller
) -> None:
    intent = await process.intent(caller)

    for stranger in (a_caller(), a_caller("live", caller.merchant_id)):
        strange = replace(intent, merchant_id=stranger.merchant_id, mode=stranger.mode)
        results = await asyncio.gather(
            process.handlers.get(stranger, intent.id),
            process.handlers.cancel(stranger, intent.id, None),
            process.begin(strange, a_transaction_id(stranger)),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [ResourceMissing] * 3

    assert await process.handlers.get(caller, intent.id) == intent
    assert await process.history(intent.id) == [CREATED]


async def test_pages_go_through_all_intents_in_both_directions(
    process: IntentProcess, caller: Caller
) -> None:
    made = [(await process.intent(caller)).id for _ in range(7)]
    newest_first = sorted(made, reverse=True)

    async def page(after: str | None = None, before: str | None = None) -> tuple[list[str], bool]:
        listed, has_more = await process.handlers.list(caller, Page(3, after, before))
        return [intent.id for intent in listed], has_more

    assert await page() == (newest_first[:3], True)
    assert await page(after=newest_first[2]) == (newest_first[3:6], True)
    assert await page(after=newest_first[5]) == (newest_first[6:], False)
    assert await page(after=newest_first[6]) == ([], False)
    assert await page(before=newest_first[6]) == (newest_first[3:6], True)
    assert await page(before=newest_first[3]) == (newest_first[:3], False)
    assert await page(before=newest_first[1]) == (newest_first[:1], False)


async def test_a_page_holds_only_the_own_intents_of_the_mode(
    process: IntentProcess, caller: Caller
) -> None:
    live = a_caller("live", caller.merchant_id)
    intents = [await process.intent(one) for one in (caller, live, a_caller())]

    pages = [await process.handlers.list(one, Page(10)) for one in (caller, live)]

    assert pages == [([intents[0]], False), ([intents[1]], False)]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"gt": 20}, [30]),
        ({"gte": 20}, [30, 20]),
        ({"lt": 20}, [10]),
        ({"lte": 20}, [20, 10]),
        ({"gt": 10, "lt": 30}, [20]),
    ],
)
async def test_a_page_keeps_to_its_bounds_of_time(
    process: IntentProcess, caller: Caller, bounds: dict[str, int], expected: list[int]
) -> None:
    for created in (10, 20, 30):
        intent = an_intent(caller, created=created)
        await process.store.creations.submit(Creation(intent, None))

    listed, _ = await process.handlers.list(
        caller, Page(10), created=period_of(CreatedRange(**bounds))
    )

    assert sorted((intent.created for intent in listed), reverse=True) == expected


@pytest.mark.parametrize("status", sorted(set(PUBLIC_NAMES.values())))
async def test_a_page_of_one_status_holds_no_other(
    process: IntentProcess, caller: Caller, status: str
) -> None:
    intents = [await process.intent(caller, each) for each in Status]

    listed, _ = await process.handlers.list(caller, Page(10), Status(status))

    assert sorted(listed, key=lambda intent: intent.id) == [
        intent for intent in intents if PUBLIC_NAMES[intent.status] == status
    ]


async def test_every_use_says_so_when_the_database_is_away(tls: Path, caller: Caller) -> None:
    url = f"postgresql+psycopg://intent@127.0.0.1:{free_port()}/intent"
    database, _ = await database_and_settings(url, tls)
    lost = IntentProcess(database, FakeClock())
    intent_id = an_intent(caller).id

    results = await asyncio.gather(
        lost.handlers.create(caller, a_wish(), a_key()),
        lost.handlers.cancel(caller, intent_id, None),
        lost.handlers.get(caller, intent_id),
        lost.handlers.list(caller, Page(10)),
        return_exceptions=True,
    )
    await database.close()

    assert [type(result) for result in results] == [ServiceUnavailable] * 4


# A row's status, a change of it, and the check that refuses the change. Checks of several columns
# are numbered as in the migration.
RULES = [
    ("created", "mode = 'prod'", "mode_check"),
    ("created", "amount_minor = 0", "amount_minor_check"),
    ("created", "amount_minor = 100000000", "amount_minor_check"),
    ("created", "currency = 'USD'", "currency_check"),
    ("created", "description = repeat('x', 1001)", "description_check"),
    ("processing", "status = 'lost'", "status_check"),
    ("succeeded", "amount_captured_minor = amount_minor + 1", "check"),
    ("created", "amount_captured_minor = -1", "check"),
    ("succeeded", "amount_captured_minor = 0", "check1"),
    ("processing", "amount_captured_minor = 1", "check"),
    (
        "succeeded",
        "partial_approval = 'accepted', amount_authorized_minor = amount_minor - 1",
        "check",
    ),
    ("canceled", "amount_authorized_minor = amount_minor, amount_captured_minor = 1", "check1"),
    ("processing", "status = 'succeeded'", "check1"),
    ("failed", "failure_code = null", "check2"),
    ("processing", "failure_code = 'card_declined'", "check2"),
    ("authorized", "failure_code = 'card_declined'", "check2"),
    ("created", "captures = -1", "captures_check"),
    ("created", "status = 'processing'", "check3"),
    ("processing", "latest_transaction_id = null", "check3"),
    ("created", "version = 0", "version_check"),
    ("created", "capture_method = 'later'", "capture_method_check"),
    ("capturing", "amount_to_capture_minor = 0", "amount_to_capture_minor_check"),
    ("capturing", "amount_to_capture_minor = amount_minor + 1", "check4"),
    (
        "capturing",
        "partial_approval = 'accepted', amount_authorized_minor = amount_to_capture_minor - 1",
        "check4",
    ),
    ("processing", "due = now()", "check5"),
    ("processing", "capture_before = now()", "check5"),
    ("authorized", "capture_before = null", "check6"),
    ("processing", "status = 'authorized', amount_authorized_minor = amount_minor", "check6"),
    ("authorized", "amount_to_capture_minor = 1", "check7"),
    ("capturing", "amount_to_capture_minor = null", "check7"),
    ("capturing", "status = 'succeeded', amount_captured_minor = amount_minor - 1", "check8"),
    ("succeeded", "amount_captured_minor = amount_minor - 1", "check8"),
    ("processing", "capture_method = 'manual', due = now()", "check9"),
    ("created", "partial_approval = 'maybe'", "partial_approval_check"),
    ("processing", "amount_authorized_minor = -1", "amount_authorized_minor_check"),
    (
        "authorized",
        "partial_approval = 'accepted', amount_authorized_minor = amount_minor + 1",
        "check10",
    ),
    ("authorized", "amount_authorized_minor = amount_minor - 1", "check11"),
    ("authorized", "amount_authorized_minor = 0", "check12"),
    ("processing", "amount_authorized_minor = amount_minor", "check12"),
    ("failed", "amount_authorized_minor = amount_minor", "check12"),
]


@pytest.mark.parametrize(("status", "change", "constraint"), RULES)
async def test_the_database_itself_refuses_what_breaks_a_rule_of_money(
    process: IntentProcess, caller: Caller, status: str, change: str, constraint: str
) -> None:
    intent = await process.intent(caller, Status(status))

    check = await refusing_check(process.database, "payment_intents", intent.id, change)

    assert check == constraint


async def test_every_check_of_the_database_is_broken_above(process: IntentProcess) -> None:
    assert await checks(process.database, "payment_intents") == {name for _, _, name in RULES}
