"""Payments that are authorized first and captured later: both services, over a simulated network.

The services are real and speak gRPC to each other; what lies between two of their steps can be cut.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from paymesh.events.v1 import attempt_event_pb2
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2 as lifecycle_pb2
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc
from paymesh.txn.v1 import authorization_service_pb2 as authorization_pb2
from paymesh.txn.v1 import authorization_service_pb2_grpc as authorization_grpc

from chassis.consumer import Record
from chassis.database import Database
from chassis.idempotency import Keyed
from chassis.identity import Caller
from chassis.ids import new_id
from intent_svc.consumer import AttemptConsumer
from intent_svc.domain.payment_intent import PaymentIntent
from intent_svc.service import PaymentIntentLifecycleService
from tests.fakes import FakeClock
from tests.integration.intent_parts import IntentProcess, a_wish, answered
from tests.integration.network_parts import Simulator, card_fields
from tests.integration.txn_parts import TxnProcess
from txn_svc.clients import IntentClient
from txn_svc.domain.card import CardFields
from txn_svc.domain.transaction import Transaction
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.handlers.charges import ChargeHandlers, ChargeWish
from txn_svc.networks.pool import NetworkPool
from txn_svc.service.authorizations import AuthorizationService
from txn_svc.store.captures import CaptureStore

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass
class Lifecycle(lifecycle_grpc.PaymentIntentLifecycleServiceServicer):
    """intent_svc as txn_svc meets it. is_deaf: whether outcomes do not reach it."""

    inner: PaymentIntentLifecycleService
    is_deaf: bool = False

    async def BatchBeginProcessing(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchBeginProcessingRequest, context: Context
    ) -> lifecycle_pb2.BatchBeginProcessingResponse:
        """Take claims."""
        return await self.inner.BatchBeginProcessing(request, context)

    async def BatchApplyOutcome(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchApplyOutcomeRequest, context: Context
    ) -> lifecycle_pb2.BatchApplyOutcomeResponse:
        """Take outcomes."""
        if self.is_deaf:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return await self.inner.BatchApplyOutcome(request, context)

    async def BatchCheckClientSecrets(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchCheckClientSecretsRequest, context: Context
    ) -> lifecycle_pb2.BatchCheckClientSecretsResponse:
        """Check client secrets."""
        return await self.inner.BatchCheckClientSecrets(request, context)

    async def BatchFindPurgedPayments(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.BatchFindPurgedPaymentsRequest, context: Context
    ) -> lifecycle_pb2.BatchFindPurgedPaymentsResponse:
        """Say which payments were purged."""
        return await self.inner.BatchFindPurgedPayments(request, context)

    async def LookUpPaymentIntent(  # noqa: N802 the contract's name
        self, request: lifecycle_pb2.LookUpPaymentIntentRequest, context: Context
    ) -> lifecycle_pb2.LookUpPaymentIntentResponse:
        """Return an intent."""
        return await self.inner.LookUpPaymentIntent(request, context)


@dataclass
class Authorizations(authorization_grpc.AuthorizationServiceServicer):
    """txn_svc as intent_svc meets it. is_away: whether calls do not reach it."""

    inner: AuthorizationService
    is_away: bool = False

    async def CaptureAuthorization(  # noqa: N802 the contract's name
        self, request: authorization_pb2.CaptureAuthorizationRequest, context: Context
    ) -> authorization_pb2.CaptureAuthorizationResponse:
        """Capture."""
        await self._be_away(context)
        return await self.inner.CaptureAuthorization(request, context)

    async def VoidAuthorization(  # noqa: N802 the contract's name
        self, request: authorization_pb2.VoidAuthorizationRequest, context: Context
    ) -> authorization_pb2.VoidAuthorizationResponse:
        """Release."""
        await self._be_away(context)
        return await self.inner.VoidAuthorization(request, context)

    async def _be_away(self, context: Context) -> None:
        if self.is_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")


@dataclass
class Holds:
    """Two processes of intent_svc and one of txn_svc on one clock, and the network's books."""

    clock: FakeClock
    process: IntentProcess
    other: IntentProcess
    txn: TxnProcess
    charges: ChargeHandlers
    attempts: AttemptHandlers
    captures: CaptureHandlers
    records: CaptureStore
    lifecycle: Lifecycle
    authorizations: Authorizations
    intents: IntentClient
    network: Simulator

    async def authorized(
        self, caller: Caller, behavior: str = "approved", *, accepts_part: bool = False
    ) -> PaymentIntent:
        """Return an intent that was charged with a card for which the network behaves so."""
        wish = a_wish(is_manual=True, accepts_part=accepts_part)
        answer = await self.process.handlers.create(caller, wish, None)
        intent_id = answered(answer).id
        await self.charge(caller, intent_id, card_fields(self.network.name, behavior))
        return await self.intent(caller, intent_id)

    async def charge(self, caller: Caller, intent_id: str, card: CardFields) -> Transaction:
        """Charge a card for an intent."""
        wish = ChargeWish(intent_id, "charge", None, card, new_id("key", intent_id), b"1" * 32)
        return (await self.charges.charge(caller, wish)).transaction

    async def capture(
        self,
        caller: Caller,
        intent: PaymentIntent,
        amount_minor: int | None = None,
        keyed: Keyed | None = None,
    ) -> PaymentIntent:
        """Capture, and return the intent as it stands then."""
        await self.process.handlers.capture(caller, intent.id, amount_minor, keyed)
        return await self.intent(caller, intent.id)

    async def intent(self, caller: Caller, intent_id: str) -> PaymentIntent:
        """Return the intent as it stands."""
        return await self.process.handlers.get(caller, intent_id)

    async def transaction(self, caller: Caller, intent: PaymentIntent) -> Transaction:
        """Return the intent's transaction as it stands."""
        transaction, *_ = await self.charges.get(
            caller, intent.id, str(intent.latest_transaction_id)
        )
        return transaction

    async def books(self, caller: Caller) -> dict[str, Any]:
        """Return the one row of the merchant in the network's books."""
        rrns = {row["rrn"] for row in await self.txn.attempts(caller)}
        [row] = [row for row in await self.network.ledger() if row["rrn"] in rrns]
        return row

    async def sent(self, caller: Caller) -> list[str]:
        """Return the types of the messages that the network got for the merchant."""
        return [message["mti"] for message in (await self.books(caller))["messages"]]

    async def do_due(self, by: IntentProcess | None = None) -> None:
        """Do everything that is due, as the dispatchers of both services do."""
        one = by or self.process
        for intent in await one.handlers.claim_due(100):
            await one.handlers.do_due(intent)
        for _, attempt in await self.attempts.claim_reversals(100):
            await self.attempts.send_reversal(attempt)
        for authorization, capture in await self.captures.claim_captures(100):
            await self.captures.send_again(authorization, capture)

    async def consume(self, intent: PaymentIntent) -> None:
        """Bring every event about the intent's attempts to intent_svc, as Kafka does."""
        await self.take(intent, await self.attempt_events(intent))

    async def take(
        self, intent: PaymentIntent, events: Iterable[attempt_event_pb2.AttemptEvent]
    ) -> None:
        """Bring events about the intent's attempts to intent_svc in this order."""
        consumer = AttemptConsumer(self.other.handlers)
        for offset, event in enumerate(events):
            record = Record(
                "events.attempt",
                0,
                offset,
                intent.id,
                event.SerializeToString(),
                event.id,
                event.type,
            )
            await consumer.handle([record])

    async def attempt_events(self, intent: PaymentIntent) -> list[attempt_event_pb2.AttemptEvent]:
        """Return the events about the intent's attempts in the order of their ids."""
        return sorted(await self.txn.events(intent.id), key=lambda event: event.id)


@asynccontextmanager
async def holds_over(
    network: Simulator, pools: Mapping[str, NetworkPool], databases: Sequence[Database]
) -> AsyncIterator[Holds]:
    """Wire both services to each other and to the network.

    databases: two processes' ways to the intents, and one to the transactions.
    """
    *intent_databases, txn_database = databases
    clock = FakeClock()
    txn = TxnProcess(txn_database, clock)
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        process, other = (IntentProcess(each, clock, channel) for each in intent_databases)
        intents = IntentClient(channel)
        attempts = txn.resolver(intents, pools)
        records = CaptureStore(txn_database, clock)
        captures = CaptureHandlers(txn.store, records, attempts, pools, clock)
        lifecycle = Lifecycle(PaymentIntentLifecycleService(process.handlers))
        authorizations = Authorizations(AuthorizationService(captures))
        lifecycle_grpc.add_PaymentIntentLifecycleServiceServicer_to_server(lifecycle, server)
        authorization_grpc.add_AuthorizationServiceServicer_to_server(authorizations, server)
        await server.start()
        yield Holds(
            clock,
            process,
            other,
            txn,
            ChargeHandlers(
                txn.store, attempts, intents, txn.tokens(intents), txn.archived(), pools, clock
            ),
            attempts,
            captures,
            records,
            lifecycle,
            authorizations,
            intents,
            network,
        )
        await server.stop(None)
