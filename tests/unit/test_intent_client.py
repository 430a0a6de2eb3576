"""What txn_svc tells intent_svc beside the message: whether its request is traced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2 as lifecycle_pb2

from chassis import spans
from chassis.identity import Caller
from chassis.ids import Kid, MerchantId, PaymentIntentId, TransactionId
from txn_svc.clients import IntentClient
from txn_svc.domain.transaction import ChargedCard, Transaction, TransactionStatus

Ask = Callable[[IntentClient], Awaitable[object]]

TRANSACTION = Transaction(
    id=TransactionId("txn_1"),
    merchant_id=MerchantId("mer_1"),
    mode="test",
    payment_intent_id=PaymentIntentId("pi_1"),
    card=ChargedCard("visa", "4242", 12, 2034, "424242", "f" * 43, Kid("kid_1")),
    created=1,
    status=TransactionStatus.SUCCEEDED,
    amount_minor=1099,
    currency="usd",
)
CALLER = Caller(MerchantId("mer_1"), "test")
ANSWERS = {
    "BatchBeginProcessing": lifecycle_pb2.BatchBeginProcessingResponse(
        verdicts=[lifecycle_pb2.BeginProcessingVerdict(terms=lifecycle_pb2.ChargeTerms())]
    ),
    "BatchApplyOutcome": lifecycle_pb2.BatchApplyOutcomeResponse(
        verdicts=[lifecycle_pb2.ApplyOutcomeVerdict()]
    ),
    "BatchCheckClientSecrets": lifecycle_pb2.BatchCheckClientSecretsResponse(
        verdicts=[lifecycle_pb2.CheckClientSecretVerdict()]
    ),
    "LookUpPaymentIntent": lifecycle_pb2.LookUpPaymentIntentResponse(),
}


class FakeChannel:
    """Answers every method and keeps the `traceparent` of each call."""

    def __init__(self) -> None:
        self.traceparents: list[object] = []

    def unary_unary(self, path: str, **_: object) -> Callable[..., Awaitable[Any]]:
        """Return a method."""

        async def call(_: object, *, metadata: tuple[tuple[str, str], ...], **__: object) -> Any:
            self.traceparents.append(dict(metadata).get("traceparent"))
            return ANSWERS[path.rpartition("/")[2]]

        return call


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.begin_processing(TRANSACTION),
        lambda client: client.apply_outcome(TRANSACTION),
        lambda client: client.look_up("mer_1", "test", "pi_1"),
        lambda client: client.check_client_secret(CALLER, "pi_1", "pi_1_secret_1"),
    ],
    ids=["begin_processing", "apply_outcome", "look_up", "check_client_secret"],
)
async def test_a_callee_is_told_whether_the_request_is_traced(
    exported: InMemorySpanExporter, ask: Ask
) -> None:
    channel = FakeChannel()
    client = IntentClient(cast("grpc.aio.Channel", channel))

    for header in (spans.NOT_SAMPLED, f"00-{0xA1:032x}-{0xB1:016x}-01"):
        with spans.server_span("request", header):
            await asyncio.wait_for(ask(client), 5)

    untraced, traced = channel.traceparents
    assert untraced == spans.NOT_SAMPLED
    assert spans.sampled(traced) in [
        spans.sampled(f"00-{0xA1:032x}-{span.context.span_id:016x}-01")
        for span in exported.get_finished_spans()
    ]
