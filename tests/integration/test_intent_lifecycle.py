"""Batches of claims and outcomes on a real PostgreSQL: each item has a verdict of its own."""

from __future__ import annotations

from typing import cast

import pytest
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2 as lifecycle_pb2
from paymesh.merchant.v1 import mode_pb2

from chassis.identity import Caller, Context
from intent_svc.domain import PaymentIntent, Status
from intent_svc.service import PaymentIntentLifecycleService
from tests.integration.intent_parts import AMOUNT_MINOR, IntentProcess, a_transaction_id

pytestmark = pytest.mark.integration

NO_CONTEXT = cast("Context", None)


@pytest.fixture
def process(intent_processes: list[IntentProcess]) -> IntentProcess:
    return intent_processes[0]


@pytest.fixture
def service(process: IntentProcess) -> PaymentIntentLifecycleService:
    return PaymentIntentLifecycleService(process.handlers)


def an_outcome(
    intent: PaymentIntent, transaction_id: str, amount_minor: int = AMOUNT_MINOR
) -> lifecycle_pb2.ApplyOutcomeItem:
    return lifecycle_pb2.ApplyOutcomeItem(
        merchant_id=intent.merchant_id,
        payment_intent_id=intent.id,
        transaction_id=transaction_id,
        outcome=lifecycle_pb2.OutcomeEnum.succeeded,
        amount_captured_in_cents=amount_minor,
    )


async def test_each_claim_of_a_batch_has_its_own_verdict(
    process: IntentProcess, service: PaymentIntentLifecycleService, caller: Caller
) -> None:
    intents = [await process.intent(caller, status) for status in (Status.CREATED, Status.CANCELED)]
    request = lifecycle_pb2.BatchBeginProcessingRequest(
        items=[
            lifecycle_pb2.BeginProcessingItem(
                merchant_id=caller.merchant_id,
                mode=mode_pb2.ModeEnum.test,
                payment_intent_id=intent_id,
                transaction_id=a_transaction_id(caller),
            )
            for intent_id in (*(intent.id for intent in intents), "pi_none")
        ]
    )

    response = await service.BatchBeginProcessing(request, NO_CONTEXT)

    claimed, canceled, missing = response.verdicts
    assert (claimed.terms.amount_in_cents, claimed.terms.currency) == (AMOUNT_MINOR, "usd")
    assert canceled.refusal.reason == "PAYMENT_INTENT_UNEXPECTED_STATE"
    assert missing.refusal.reason == "RESOURCE_MISSING"


async def test_an_outcome_that_the_database_refuses_fails_alone_and_shows_nothing(
    process: IntentProcess, service: PaymentIntentLifecycleService, caller: Caller
) -> None:
    holder = a_transaction_id(caller)
    intents = [await process.intent(caller, Status.PROCESSING, holder) for _ in range(3)]
    amounts = [AMOUNT_MINOR, AMOUNT_MINOR + 1, AMOUNT_MINOR]
    request = lifecycle_pb2.BatchApplyOutcomeRequest(
        items=[
            an_outcome(intent, holder, amount)
            for intent, amount in zip(intents, amounts, strict=True)
        ]
    )

    response = await service.BatchApplyOutcome(request, NO_CONTEXT)

    first, bad, last = response.verdicts
    assert [first.payment_intent.id, last.payment_intent.id] == [intents[0].id, intents[2].id]
    assert bad.refusal.reason == "SERVICE_UNAVAILABLE"
    assert "check" not in bad.refusal.message
