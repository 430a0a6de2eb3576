"""The parts of recon_svc that decide and write, as one process holds them, and its neighbour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from paymesh.events.v1 import attempt_event_pb2
from paymesh.txn.v1 import attempt_pb2, attempt_service_pb2, attempt_service_pb2_grpc

from chassis.consumer import Record
from chassis.database import Database
from chassis.errors import DomainError, Kind, RemoteError, error_details
from chassis.identity import Caller
from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId, new_id
from chassis.networks import ClearingRule, InquiryRule, NetworkRules, ReversalRule
from recon_svc.clients import AttemptClient
from recon_svc.consumer import AttemptConsumer
from recon_svc.domain.resolution import Attempt, AttemptStatus
from recon_svc.handlers.resolution import ArrivalHandlers, ResolutionHandlers
from recon_svc.store.attempts import AttemptStore, Claim
from tests.fakes import FakeClock

CREATED = 1_772_366_400  # when a FakeClock stands at first
DEADLINE = CREATED + 3
LATE_S = 30
SILENT = NetworkRules(
    timeout_s=2,
    reversal=ReversalRule(repeat_s=(0.5, 1), then_every_s=60),
    clearing=ClearingRule(cut_off="on_request", late_after_h=0),
    capture_deadline_h=168,
)
ASKABLE = SILENT.model_copy(
    update={"inquiry": InquiryRule(backoff_s=(0.5, 1), not_found_is_failed_after_s=5)}
)
RULES = {"visa_sim": SILENT, "mastercard_sim": ASKABLE}
WRONG_STATE = RemoteError(Kind.WRONG_STATE, "ATTEMPT_UNEXPECTED_STATE", "No.")
AWAY = RemoteError(Kind.UNAVAILABLE, "CARD_NETWORK_UNAVAILABLE", "Away.")

Context = grpc.aio.ServicerContext[Any, Any]
Outcome = attempt_service_pb2.InquiryOutcomeEnum


@dataclass
class FakeAttempts(attempt_service_pb2_grpc.AttemptServiceServicer):
    """txn_svc as recon_svc meets it: says what it is told to, or refuses.

    said: the outcome of every inquiry. calls: what it was asked for, in order.
    """

    said: int = Outcome.no_answer
    code: str = "00"
    recorded: int = 0
    refusal: DomainError | None = None
    calls: list[str] = field(default_factory=list)

    async def InquireAttempt(  # noqa: N802 the contract's name
        self, request: attempt_service_pb2.InquireAttemptRequest, context: Context
    ) -> attempt_service_pb2.InquireAttemptResponse:
        """Answer an inquiry."""
        await self._take(f"inquire {request.attempt_id}", context)
        answer = attempt_service_pb2.NetworkAnswer(response_code=self.code)
        has_answer = self.said != Outcome.no_answer
        return attempt_service_pb2.InquireAttemptResponse(
            outcome=self.said,  # type: ignore[arg-type]
            answer=answer if has_answer else None,
        )

    async def ReverseAttempt(  # noqa: N802 the contract's name
        self, request: attempt_service_pb2.ReverseAttemptRequest, context: Context
    ) -> attempt_service_pb2.ReverseAttemptResponse:
        """Take a reversal."""
        await self._take(f"reverse {request.attempt_id} {request.reason}", context)
        return attempt_service_pb2.ReverseAttemptResponse()

    async def ResolveAttempt(  # noqa: N802 the contract's name
        self, request: attempt_service_pb2.ResolveAttemptRequest, context: Context
    ) -> attempt_service_pb2.ResolveAttemptResponse:
        """Take an outcome."""
        answer = request.answer.response_code or "no answer"
        await self._take(f"resolve {request.attempt_id} {request.resolution} {answer}", context)
        return attempt_service_pb2.ResolveAttemptResponse()

    async def CountAttempts(  # noqa: N802 the contract's name
        self, request: attempt_service_pb2.CountAttemptsRequest, context: Context
    ) -> attempt_service_pb2.CountAttemptsResponse:
        """Count what was recorded."""
        await self._take(f"count {request.created_from} {request.created_until}", context)
        return attempt_service_pb2.CountAttemptsResponse(recorded=self.recorded)

    async def _take(self, call: str, context: Context) -> None:
        self.calls.append(call)
        if self.refusal is not None:
            trailer = (("grpc-status-details-bin", error_details(self.refusal)),)
            statuses = {
                Kind.WRONG_STATE: grpc.StatusCode.FAILED_PRECONDITION,
                Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
            }
            await context.abort(statuses[self.refusal.kind], "No.", trailer)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[grpc.aio.Channel]:
        """Serve on any port, and lend a channel to it."""
        server = grpc.aio.server()
        attempt_service_pb2_grpc.add_AttemptServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        await server.stop(None)


class ReconProcess:
    """One process of recon_svc: connections and a store of its own on a database."""

    def __init__(self, database: Database, channel: grpc.aio.Channel, caller: Caller) -> None:
        self.database = database
        self.clock = FakeClock()
        self.store = AttemptStore(database)
        self.consumer = AttemptConsumer(self.store)
        client = AttemptClient(channel)
        self.handlers = ResolutionHandlers(self.store, client, RULES, self.clock)
        self.arrivals = ArrivalHandlers(self.store, client, self.clock, LATE_S)
        self._merchant_id = caller.merchant_id

    async def claim(self) -> list[Claim]:
        """Claim all that is due and return what of it is the merchant's."""
        claims = await self.handlers.claim(1000)
        return [claim for claim in claims if claim.attempt.merchant_id == self._merchant_id]

    async def work(self) -> int:
        """Take the next step for all that is due of the merchant's, and return how many."""
        claims = await self.claim()
        for claim in claims:
            await self.handlers.resolve(claim)
        return len(claims)

    async def row(self, attempt_id: str) -> dict[str, Any]:
        """Return an attempt's row."""
        [row] = await self.database.fetch(
            "select attempts.*, extract(epoch from resolve_after)::float8 as due from attempts"
            " where merchant_id = %(owner)s and id = %(id)s",
            owner=self._merchant_id,
            id=attempt_id,
        )
        return dict(row)


def an_attempt(
    merchant_id: str = "mer_1",
    status: AttemptStatus = AttemptStatus.TIMEOUT,
    *,
    id_: str = "att_1",
    network: str = "visa_sim",
    version: int = 2,
    reversal: str | None = None,
    inquiries: int = 0,
) -> Attempt:
    """Return an attempt as an event told of it."""
    return Attempt(
        id=AttemptId(id_),
        merchant_id=MerchantId(merchant_id),
        mode="test",
        payment_intent_id=PaymentIntentId("pi_1"),
        transaction_id=TransactionId("txn_1"),
        network=network,
        status=status,
        amount_minor=1099,
        currency="usd",
        stan="000001",
        rrn="R00000000001",
        transmitted_at="0301120000",
        deadline=DEADLINE,
        created=CREATED,
        version=version,
        reversal=reversal,
        inquiries=inquiries,
    )


def a_record(attempt: Attempt, type_: str) -> Record:
    """Return the record of an event that tells of an attempt."""
    told = attempt_pb2.Attempt(
        id=attempt.id,
        transaction_id=attempt.transaction_id,
        payment_intent_id=attempt.payment_intent_id,
        network=attempt.network,
        kind=attempt.kind,
        status=str(attempt.status),
        amount_in_cents=attempt.amount_minor,
        currency=attempt.currency,
        stan=attempt.stan,
        rrn=attempt.rrn,
        transmitted_at=attempt.transmitted_at,
        deadline=attempt.deadline,
        created=attempt.created,
        reversal=attempt.reversal,
        partial_approval="accepted" if attempt.accepts_part else "refused",
        amount_approved_in_cents=attempt.amount_approved_minor,
    )
    event = attempt_event_pb2.AttemptEvent(
        id=new_id("evt", attempt.merchant_id),
        type=type_,
        created=attempt.created,
        version=attempt.version,
        merchant_id=attempt.merchant_id,
        mode=attempt.mode,
        attempt=told,
    )
    value = event.SerializeToString()
    return Record("events.attempt", 0, 0, attempt.payment_intent_id, value, event.id, type_)
