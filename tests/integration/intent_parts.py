"""The parts of intent_svc that decide and write, as one process of it holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import grpc
from paymesh.events.v1 import payment_intent_event_pb2
from paymesh.intent.v1 import payment_intent_pb2

from chassis.archived import ArchiveClient
from chassis.database import Database, Row
from chassis.idempotency import Keyed
from chassis.identity import Caller, Mode
from chassis.ids import MerchantId, PaymentIntentId, TransactionId, new_id, new_merchant_id
from intent_svc.clients import AuthorizationClient
from intent_svc.domain.payment_intent import Event, Failure, Outcome, PaymentIntent, Status
from intent_svc.handlers import IntentHandlers, Told, Wish
from intent_svc.store.archived import ArchivedIntents
from intent_svc.store.due import DueStore
from intent_svc.store.intents import IntentStore
from intent_svc.store.items import Answer
from intent_svc.store.statements import CHANGE
from tests.fakes import FakeClock
from tests.integration.owner import as_owner

AMOUNT_MINOR = 1099
HOLD_S = 7 * 86_400
NOWHERE = "127.0.0.1:1"
DECLINED = Failure("card_declined", "The card was declined.", "do_not_honor")
HOLD_INTENT = "update payment_intents set version = version where id = :id"
HOLD_KEY = """
insert into idempotency_keys (merchant_id, mode, key, request_hash, response)
values (:merchant_id, 'test', :key, '', '')
"""
MOVE = """
update payment_intents i set version = i.version + 1
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
where i.merchant_id = item.merchant_id and i.id = item.id
"""
REQUEST_KEY = b"k" * 32


class IntentProcess:
    """One process of intent_svc: connections, a store and handlers of its own on a database.

    txn: the way to txn_svc, which without one is away.
    """

    def __init__(
        self, database: Database, clock: FakeClock, txn: grpc.aio.Channel | None = None
    ) -> None:
        self.database = database
        self.clock = clock
        self.store = IntentStore(database, clock)
        self.handlers = IntentHandlers(
            self.store,
            DueStore(database, clock),
            AuthorizationClient(txn or grpc.aio.insecure_channel(NOWHERE)),
            ArchivedIntents(database, ArchiveClient(grpc.aio.insecure_channel(NOWHERE))),
            clock,
            REQUEST_KEY,
        )

    async def begin(self, intent: PaymentIntent, transaction_id: str) -> PaymentIntent:
        """Give the intent to a transaction."""
        return await self.handlers.begin_processing(
            intent.merchant_id, intent.mode, intent.id, transaction_id, claim_before=math.inf
        )

    async def intent(
        self,
        caller: Caller,
        status: Status = Status.CREATED,
        holder: str | None = None,
        *,
        is_manual: bool = False,
    ) -> PaymentIntent:
        """Return a stored intent that came to this status in the ordinary way."""
        is_manual = is_manual or status in {Status.AUTHORIZED, Status.CAPTURING}
        answer = await self.handlers.create(caller, a_wish(is_manual=is_manual), None)
        intent = await self.handlers.get(caller, answered(answer).id)
        if status is Status.CREATED:
            return intent
        if status is Status.CANCELED:
            return (await self.handlers.cancel(caller, intent.id, None)).intent
        holder = holder or a_transaction_id(caller)
        processing = await self.begin(intent, holder)
        if status is Status.PROCESSING:
            return processing
        event = {
            Status.AUTHORIZED: Event.AUTHORIZE,
            Status.CAPTURING: Event.AUTHORIZE,
            Status.SUCCEEDED: Event.SUCCEED,
            Status.FAILED: Event.FAIL,
        }[status]
        told = await self.handlers.apply_outcome(a_told(intent, holder, event))
        if status is Status.CAPTURING:
            await self.handlers.capture(caller, intent.id, None, None)
            return await self.handlers.get(caller, intent.id)
        return told

    async def history(self, intent_id: str) -> list[tuple[int, str]]:
        """Return version and type of the intent's events, in the order of their versions."""
        return [(event.version, event.type) for event in await self.events(intent_id)]

    async def events(self, intent_id: str) -> list[payment_intent_event_pb2.PaymentIntentEvent]:
        """Return the intent's events from the outbox, in the order of their versions."""
        rows = await as_owner(
            self.database,
            "select id, aggregatetype, type, payload from outbox where aggregateid = %(id)s",
            id=intent_id,
        )
        found = []
        for row in rows:
            event = payment_intent_event_pb2.PaymentIntentEvent.FromString(row["payload"])
            assert (row["aggregatetype"], row["type"]) == ("payment_intent", event.type)
            assert row["id"] == event.id
            found.append(event)
        return sorted(found, key=lambda event: event.version)

    async def consumed(self, *event_ids: str) -> list[str]:
        """Return which of these events are noted as consumed."""
        rows = await as_owner(
            self.database,
            "select event_id from consumed_events where event_id = any(%(ids)s)",
            ids=list(event_ids),
        )
        return [row["event_id"] for row in rows]

    async def count(self, caller: Caller, table: str = "payment_intents") -> int:
        """Return how many rows of a table belong to the caller's merchant."""
        sql = f"select count(*) as number from {table} where merchant_id = %(id)s"  # noqa: S608 ours
        [row] = await self.database.fetch(sql, id=caller.merchant_id)
        number: int = row["number"]
        return number


class RestlessDatabase:
    """A database whose intents another process changes whenever they are to be changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run_batch(self, sql: str, items: Sequence[Mapping[str, object]]) -> list[Row]:
        """Run a statement over items that have just been changed."""
        if sql == CHANGE:
            await self._database.run_batch(MOVE, items)
        return await self._database.run_batch(sql, items)


def a_caller(mode: Mode = "test", merchant_id: MerchantId | None = None) -> Caller:
    return Caller(merchant_id or new_merchant_id(), mode)


def a_wish(
    amount_minor: int = AMOUNT_MINOR,
    description: str | None = None,
    *,
    is_manual: bool = False,
    accepts_part: bool = False,
) -> Wish:
    return Wish(
        amount_minor,
        "usd",
        description,
        {"order": "6735"},
        is_manual_capture=is_manual,
        accepts_part=accepts_part,
    )


def an_intent(caller: Caller, currency: str = "usd", created: int = 1_772_366_400) -> PaymentIntent:
    """Return an intent that is not stored yet."""
    return PaymentIntent(
        id=PaymentIntentId(new_id("pi", caller.merchant_id)),
        merchant_id=caller.merchant_id,
        mode=caller.mode,
        amount_minor=AMOUNT_MINOR,
        currency=currency,
        created=created,
    )


def a_transaction_id(caller: Caller) -> TransactionId:
    return TransactionId(new_id("txn", caller.merchant_id))


def a_key(key: str = "key-1", body: str = "body-1") -> Keyed:
    return Keyed(key, body.encode())


def a_told(
    intent: PaymentIntent, transaction_id: str, outcome: Event, amount_minor: int = AMOUNT_MINOR
) -> Told:
    """Return what becomes of a transaction, as txn_svc tells it."""
    return Told(
        intent.merchant_id,
        intent.id,
        transaction_id,
        Outcome(
            outcome,
            amount_captured_minor=amount_minor if outcome is Event.SUCCEED else 0,
            failure=DECLINED if outcome is Event.FAIL else None,
            capture_before=intent.created + HOLD_S if outcome is Event.AUTHORIZE else None,
            amount_authorized_minor=0 if outcome is Event.FAIL else intent.amount_minor,
        ),
    )


def answered(answer: Answer) -> payment_intent_pb2.PaymentIntent:
    """Return the message that a create was answered with."""
    return payment_intent_pb2.PaymentIntent.FromString(answer.response)
