"""Held funds are captured or released, once: both services over a simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest
from paymesh.intent.v1 import payment_intent_pb2

from chassis.database import Database
from chassis.errors import IdempotencyKeyInUse, IdempotencyKeyReused, ParameterInvalid
from chassis.identity import Caller
from intent_svc.domain import payment_intent
from intent_svc.domain.payment_intent import IntentInUnexpectedState, PaymentIntent, Status
from intent_svc.store.items import Answer, Change, Key
from intent_svc.store.keys import KeyStore, LateAnswer, Used
from tests.integration.capture_parts import Holds
from tests.integration.intent_parts import AMOUNT_MINOR, HOLD_INTENT, a_key, a_wish, answered
from tests.integration.network_parts import RULES, card_fields
from tests.integration.races import race
from tests.integration.txn_parts import DECLINED_CARD
from tests.integration.txn_parts import a_wish as a_charge
from txn_svc.domain.attempt import Attempt, AttemptKind, AttemptStatus
from txn_svc.domain.resolution import AttemptInUnexpectedState
from txn_svc.domain.transaction import TransactionStatus

pytestmark = pytest.mark.integration

HOLD_ATTEMPT = "select from attempts where transaction_id = :id for update"


def _message(answer: Answer) -> payment_intent_pb2.PaymentIntent:
    return payment_intent_pb2.PaymentIntent.FromString(answer.response)


def _begun(intent: PaymentIntent) -> Change:
    """Return what is left of a call that dies before it hands its capture over."""
    return Change(
        intent.merchant_id,
        intent.id,
        intent.mode,
        partial(payment_intent.begin_capture, amount_minor=500, now=0),
        a_key(),
        is_answered_later=True,
    )


async def test_an_approval_only_holds_the_funds(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)

    transaction = await holds.transaction(caller, intent)
    books = await holds.books(caller)
    assert (intent.status, intent.amount_captured_minor) == (Status.AUTHORIZED, 0)
    lapses = int(holds.clock.now().timestamp() + RULES.capture_deadline_h * 3600)
    assert intent.capture_before == transaction.capture_before == lapses
    assert transaction.status is TransactionStatus.SUCCEEDED
    assert (transaction.amount_minor, transaction.amount_captured_minor) == (AMOUNT_MINOR, 0)
    assert (books["held"], books["captured"], books["approved"]) == (AMOUNT_MINOR, 0, True)
    assert [name for _, name in await holds.process.history(intent.id)] == [
        "payment.created",
        "payment.processing",
        "payment.authorized",
    ]


@pytest.mark.parametrize("amount", [None, 700], ids=["whole", "part"])
async def test_a_capture_takes_all_or_a_part_and_releases_the_rest(
    holds: Holds, caller: Caller, amount: int | None
) -> None:
    intent = await holds.authorized(caller)

    answer = await holds.process.handlers.capture(caller, intent.id, amount, a_key())

    taken = amount or AMOUNT_MINOR
    books = await holds.books(caller)
    message = _message(answer)
    assert message.status == payment_intent_pb2.PaymentIntentStatusEnum.succeeded
    assert (message.amount_in_cents, message.amount_captured_in_cents) == (AMOUNT_MINOR, taken)
    assert (books["captured"], books["held"], books["reversed"]) == (taken, 0, False)
    assert await holds.sent(caller) == ["0100", "0220"]
    transaction, attempts = await holds.charges.get(
        caller, intent.id, str(intent.latest_transaction_id)
    )
    assert (transaction.amount_minor, transaction.amount_captured_minor) == (AMOUNT_MINOR, taken)
    assert [(each.kind, each.status, each.amount_minor) for each in attempts] == [
        (AttemptKind.AUTHORIZATION, AttemptStatus.SUCCEEDED, AMOUNT_MINOR),
        (AttemptKind.CAPTURE, AttemptStatus.SUCCEEDED, taken),
    ]
    assert [message.mti for message in attempts[1].messages] == ["0220", "0230"]
    assert (await holds.intent(caller, intent.id)).due is None
    events = await holds.process.events(intent.id)
    assert [event.type for event in events][3:] == ["payment.processing", "payment.succeeded"]
    assert events[4].payment_intent == message


async def test_a_capture_is_told_before_it_is_sent_and_after(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)

    await holds.capture(caller, intent)

    assert [(event.type, event.version) for event in await holds.attempt_events(intent)] == [
        ("attempt.recorded", 1),
        ("attempt.succeeded", 2),
        ("attempt.recorded", 1),
        ("attempt.succeeded", 2),
    ]


async def test_a_capture_s_key_gets_its_first_answer_again_and_no_other_request(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)

    first = await holds.process.handlers.capture(caller, intent.id, 700, a_key())
    again = [
        await one.handlers.capture(caller, intent.id, 700, a_key())
        for one in (holds.process, holds.other)
    ]
    with pytest.raises(IdempotencyKeyReused):
        await holds.other.handlers.capture(caller, intent.id, 701, a_key(body="body-2"))

    assert not first.is_replay
    assert again == [Answer(first.response, is_replay=True)] * 2
    assert await holds.sent(caller) == ["0100", "0220"]


@pytest.mark.parametrize(
    "status", ["created", "unknown", "failed", "canceled", "automatic", "captured"]
)
async def test_what_is_not_authorized_is_not_captured(
    holds: Holds, caller: Caller, status: str
) -> None:
    intent = await _an_intent(holds, caller, status)
    history = await holds.process.history(intent.id)

    with pytest.raises(IntentInUnexpectedState):
        await holds.process.handlers.capture(caller, intent.id, None, a_key())

    assert await holds.intent(caller, intent.id) == intent
    assert await holds.process.history(intent.id) == history


async def _an_intent(holds: Holds, caller: Caller, status: str) -> PaymentIntent:
    if status in {"canceled", "captured"}:
        intent = await holds.authorized(caller)
        if status == "canceled":
            await holds.process.handlers.cancel(caller, intent.id, None)
            return await holds.intent(caller, intent.id)
        return await holds.capture(caller, intent, 700)
    wish = a_wish(is_manual=status != "automatic")
    intent_id = answered(await holds.process.handlers.create(caller, wish, None)).id
    card = {
        "unknown": card_fields(holds.network.name, "answer lost"),
        "failed": DECLINED_CARD,
        "automatic": card_fields(holds.network.name, "approved"),
    }.get(status)
    if card is not None:
        await holds.charge(caller, intent_id, card)
    return await holds.intent(caller, intent_id)


async def test_more_than_is_authorized_is_refused_by_name_and_sends_nothing(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)

    for amount in (AMOUNT_MINOR + 1, 0):
        with pytest.raises(ParameterInvalid) as refused:
            await holds.process.handlers.capture(caller, intent.id, amount, a_key())
        assert refused.value.param == "amountToCaptureInCents"

    assert await holds.intent(caller, intent.id) == intent
    assert await holds.sent(caller) == ["0100"]
    assert (await holds.capture(caller, intent, keyed=a_key())).status is Status.SUCCEEDED


async def test_an_automatic_charge_is_captured_in_the_network_s_books_at_once(
    holds: Holds, caller: Caller
) -> None:
    intent = await _an_intent(holds, caller, "automatic")

    books = await holds.books(caller)
    assert (intent.status, intent.capture_before) == (Status.SUCCEEDED, None)
    assert (books["captured"], books["held"]) == (AMOUNT_MINOR, 0)
    assert (await holds.transaction(caller, intent)).amount_captured_minor == AMOUNT_MINOR


async def test_of_two_captures_at_once_one_wins(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)

    first, second = await race(
        holds.process.database,
        HOLD_INTENT,
        holds.process.handlers.capture(caller, intent.id, 500, a_key("key-1")),
        holds.other.handlers.capture(caller, intent.id, 700, a_key("key-2")),
        id=intent.id,
    )

    assert isinstance(first, Answer)
    assert isinstance(second, IntentInUnexpectedState)
    assert _message(first).amount_captured_in_cents == 500
    assert (await holds.books(caller))["captured"] == 500
    assert await holds.sent(caller) == ["0100", "0220"]
    assert await holds.process.count(caller, "idempotency_keys") == 1


async def test_a_charge_s_key_gets_its_first_answer_also_after_the_capture(
    holds: Holds, caller: Caller
) -> None:
    intent_id = answered(
        await holds.process.handlers.create(caller, a_wish(is_manual=True), None)
    ).id
    wish = a_charge(intent_id)

    first = await holds.charges.charge(caller, wish)
    await holds.capture(caller, await holds.intent(caller, intent_id), 700)
    again = await holds.charges.charge(caller, wish)

    assert first.transaction.amount_captured_minor == 0
    assert (again.transaction, again.is_replay) == (first.transaction, True)


async def test_the_answer_of_a_key_that_is_written_first_is_everybody_s(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    await holds.process.store.changes.submit(_begun(intent))

    answers = [
        await one.store.keys.answers.submit(
            LateAnswer(caller.merchant_id, caller.mode, a_key().key, response)
        )
        for one, response in ((holds.process, b"first"), (holds.other, b"second"))
    ]

    assert answers == [b"first", b"first"]


class SlowKeys(KeyStore):
    """Looks keys up once before, and once after somebody has captured."""

    def __init__(
        self, database: Database, capture: Callable[[], Awaitable[object]], *, is_before: bool
    ) -> None:
        super().__init__(database)
        self._capture: Callable[[], Awaitable[object]] | None = capture
        self._is_before = is_before

    async def find(self, keys: Sequence[Key]) -> dict[Key, Used]:
        capture, self._capture = self._capture, None
        if capture is None:
            return await super().find(keys)
        if self._is_before:
            await capture()
        found = await super().find(keys)
        if not self._is_before:
            await capture()
        return found


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("is_finished", [True, False])
async def test_a_key_that_captures_while_it_is_looked_up_gets_that_capture(
    holds: Holds, caller: Caller, *, is_before: bool, is_finished: bool
) -> None:
    intent = await holds.authorized(caller)

    def capture() -> Awaitable[object]:
        if is_finished:
            return holds.process.handlers.capture(caller, intent.id, 500, a_key())
        return holds.process.store.changes.submit(_begun(intent))

    holds.other.store.keys = SlowKeys(holds.other.database, capture, is_before=is_before)

    answer = await holds.other.handlers.capture(caller, intent.id, 500, a_key())

    assert answer.is_replay is is_finished
    assert _message(answer).amount_captured_in_cents == 500
    assert await holds.sent(caller) == ["0100", "0220"]


async def test_one_key_at_once_captures_once(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)

    results = await asyncio.gather(
        *(holds.process.handlers.capture(caller, intent.id, 500, a_key()) for _ in range(5)),
        holds.other.handlers.capture(caller, intent.id, 500, a_key()),
        return_exceptions=True,
    )

    answers = {result.response for result in results if isinstance(result, Answer)}
    assert len(answers) == 1
    refused = {type(result) for result in results if not isinstance(result, Answer)}
    assert refused == {IdempotencyKeyInUse}
    assert await holds.sent(caller) == ["0100", "0220"]
    again = await holds.other.handlers.capture(caller, intent.id, 500, a_key())
    assert {again.response} == answers


@pytest.mark.parametrize("is_cancel_first", [True, False])
async def test_of_a_capture_and_a_cancel_at_once_the_first_wins(
    holds: Holds, caller: Caller, *, is_cancel_first: bool
) -> None:
    intent = await holds.authorized(caller)
    capture = holds.process.handlers.capture(caller, intent.id, None, a_key("key-1"))
    cancel = holds.other.handlers.cancel(caller, intent.id, a_key("key-2"))

    first, second = await race(
        holds.process.database,
        HOLD_INTENT,
        *((cancel, capture) if is_cancel_first else (capture, cancel)),
        id=intent.id,
    )
    await holds.do_due()

    books = await holds.books(caller)
    now = await holds.intent(caller, intent.id)
    assert not isinstance(first, BaseException)
    assert isinstance(second, IntentInUnexpectedState)
    assert now.status is (Status.CANCELED if is_cancel_first else Status.SUCCEEDED)
    assert books["reversed"] is is_cancel_first
    assert books["captured"] == (0 if is_cancel_first else AMOUNT_MINOR)
    assert books["held"] == 0


@pytest.mark.parametrize("is_void_first", [True, False])
async def test_txn_svc_itself_does_one_of_a_capture_and_a_release(
    holds: Holds, caller: Caller, *, is_void_first: bool
) -> None:
    intent = await holds.authorized(caller)
    name = str(intent.latest_transaction_id)
    capture = holds.captures.capture(caller.merchant_id, name, 500, 1)
    void = holds.captures.void(caller.merchant_id, name)

    first, second = await race(
        holds.txn.database,
        HOLD_ATTEMPT,
        *((void, capture) if is_void_first else (capture, void)),
        id=name,
    )
    await holds.do_due()

    books = await holds.books(caller)
    assert isinstance(first, Attempt)
    assert isinstance(second, AttemptInUnexpectedState)
    assert (books["reversed"], books["captured"]) == (is_void_first, 0 if is_void_first else 500)


async def test_txn_svc_asked_again_captures_once_and_for_one_amount(
    holds: Holds, caller: Caller
) -> None:
    intent = await holds.authorized(caller)
    name = str(intent.latest_transaction_id)

    first = await holds.captures.capture(caller.merchant_id, name, 500, 1)
    again = await holds.captures.capture(caller.merchant_id, name, 500, 1)

    assert again == first
    for amount in (499, AMOUNT_MINOR + 1):
        with pytest.raises(AttemptInUnexpectedState):
            await holds.captures.capture(caller.merchant_id, name, amount, 1)
    assert await holds.sent(caller) == ["0100", "0220"]


async def test_a_cancel_releases_what_is_held_by_an_advice(holds: Holds, caller: Caller) -> None:
    intent = await holds.authorized(caller)

    canceled = await holds.process.handlers.cancel(caller, intent.id, a_key())
    again = await holds.other.handlers.cancel(caller, intent.id, a_key())
    await holds.do_due()

    [authorization] = (
        await holds.charges.get(caller, intent.id, str(intent.latest_transaction_id))
    )[1]
    assert canceled.intent.status is Status.CANCELED
    assert again.replay is not None
    assert (await holds.books(caller))["reversed"] is True
    assert await holds.sent(caller) == ["0100", "0420"]
    assert authorization.reversal is not None
    assert (authorization.reversal.reason, authorization.reversal.status) == (
        "4000",
        "acknowledged",
    )
    assert (await holds.intent(caller, intent.id)).due is None
    assert (await holds.process.history(intent.id))[3:] == [(4, "payment.canceled")]
