"""Batches of claims and outcomes on a real PostgreSQL: each item has a verdict of its own."""

from __future__ import annotations

from typing import cast

import pytest
from paymesh.intent.v1 import payment_intent_lifecycle_service_pb2 as lifecycle_pb2
from paymesh.merchant.v1 import mode_pb2

from chassis.identity import Caller, Context
from chassis.ids import new_id, new_merchant_id
from intent_svc.domain.payment_intent import PaymentIntent, Status
from intent_svc.service import PaymentIntentLifecycleService
from tests.integration.intent_parts import AMOUNT_MINOR, IntentProcess, a_transaction_id
from tests.integration.owner import as_owner

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
        amount_authorized_in_cents=AMOUNT_MINOR,
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
                claim_before=2**32 - 1,
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


@pytest.mark.parametrize("late_s", [0, 1])
async def test_a_claim_that_comes_after_its_time_changes_nothing(
    process: IntentProcess, service: PaymentIntentLifecycleService, caller: Caller, late_s: int
) -> None:
    intent = await process.intent(caller, Status.CREATED)
    item = lifecycle_pb2.BeginProcessingItem(
        merchant_id=caller.merchant_id,
        mode=mode_pb2.ModeEnum.test,
        payment_intent_id=intent.id,
        transaction_id=a_transaction_id(caller),
        claim_before=int(process.clock.now().timestamp()) - late_s,
    )

    request = lifecycle_pb2.BatchBeginProcessingRequest(items=[item])
    response = await service.BatchBeginProcessing(request, NO_CONTEXT)

    assert response.verdicts[0].refusal.reason == "SERVICE_UNAVAILABLE"
    assert await process.handlers.get(caller, intent.id) == intent


async def _check_secrets(
    service: PaymentIntentLifecycleService, *items: lifecycle_pb2.CheckClientSecretItem
) -> list[tuple[str, str] | None]:
    """Return reason and message of each refusal."""
    request = lifecycle_pb2.BatchCheckClientSecretsRequest(items=items)
    response = await service.BatchCheckClientSecrets(request, NO_CONTEXT)
    return [
        (verdict.refusal.reason, verdict.refusal.message) if verdict.HasField("refusal") else None
        for verdict in response.verdicts
    ]


def _secret_of(
    process: IntentProcess, intent: PaymentIntent, **changes: str
) -> lifecycle_pb2.CheckClientSecretItem:
    right = {
        "merchant_id": intent.merchant_id,
        "mode": intent.mode,
        "payment_intent_id": intent.id,
        "client_secret": process.handlers.client_secret(intent.id),
    }
    return lifecycle_pb2.CheckClientSecretItem(**{**right, **changes})


@pytest.mark.parametrize("status", [Status.CREATED, Status.PROCESSING, Status.FAILED])
async def test_a_browser_may_pay_an_intent_that_can_still_be_paid(
    process: IntentProcess, service: PaymentIntentLifecycleService, caller: Caller, status: Status
) -> None:
    intent = await process.intent(caller, status)

    assert await _check_secrets(service, _secret_of(process, intent)) == [None]


@pytest.mark.parametrize(
    "status", [Status.AUTHORIZED, Status.CAPTURING, Status.SUCCEEDED, Status.CANCELED]
)
async def test_a_browser_is_told_that_an_intent_can_not_be_paid_any_more(
    process: IntentProcess, service: PaymentIntentLifecycleService, caller: Caller, status: Status
) -> None:
    intent = await process.intent(caller, status)

    [refusal] = await _check_secrets(service, _secret_of(process, intent))

    assert refusal is not None
    assert refusal[0] == "PAYMENT_INTENT_UNEXPECTED_STATE"


async def test_a_wrong_secret_and_an_intent_of_nobody_s_look_the_same(
    process: IntentProcess, service: PaymentIntentLifecycleService, caller: Caller
) -> None:
    intent, paid = [
        await process.intent(caller, status) for status in (Status.CREATED, Status.SUCCEEDED)
    ]
    secret = process.handlers.client_secret(intent.id)
    nothing = new_id("pi", caller.merchant_id)

    refusals = await _check_secrets(
        service,
        _secret_of(process, intent, client_secret=secret[:-1]),
        _secret_of(process, intent, client_secret=secret + "0"),
        _secret_of(process, intent, client_secret=secret.upper()),
        _secret_of(process, intent, client_secret=""),
        _secret_of(process, intent, client_secret="é"),
        _secret_of(process, intent, client_secret=process.handlers.client_secret(paid.id)),
        _secret_of(process, paid, client_secret=secret),
        _secret_of(process, intent, mode="live"),
        _secret_of(process, intent, merchant_id=new_merchant_id()),
        _secret_of(
            process,
            intent,
            payment_intent_id=nothing,
            client_secret=process.handlers.client_secret(nothing),
        ),
        _secret_of(
            process,
            intent,
            payment_intent_id="x",
            client_secret=process.handlers.client_secret("x"),
        ),
    )

    assert refusals == [("RESOURCE_MISSING", "No such payment intent.")] * 11


async def test_a_client_secret_is_not_stored(process: IntentProcess, caller: Caller) -> None:
    intent = await process.intent(caller)
    secret = process.handlers.client_secret(intent.id).removeprefix(f"{intent.id}_secret_")

    for table in ("payment_intents", "outbox", "idempotency_keys"):
        [row] = await as_owner(
            process.database,
            f"select count(*) as number from {table} t where t::text like %(secret)s",  # noqa: S608
            secret=f"%{secret}%",
        )
        assert row["number"] == 0
