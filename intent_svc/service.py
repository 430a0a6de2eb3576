"""gRPC in: the public payment intents and the internal lifecycle."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from paymesh.intent.v1 import (
    payment_intent_lifecycle_service_pb2 as lifecycle_pb2,
)
from paymesh.intent.v1 import (
    payment_intent_lifecycle_service_pb2_grpc as lifecycle_grpc,
)
from paymesh.intent.v1 import (
    payment_intent_pb2,
    payment_intent_service_pb2,
    payment_intent_service_pb2_grpc,
)
from paymesh.merchant.v1 import mode_pb2

from chassis.errors import DomainError, ParameterInvalid, ServiceUnavailable
from chassis.idempotency import keyed_of, mark_replayed
from chassis.identity import Context, current_caller
from chassis.paging import page_of, period_of
from intent_svc.domain.payment_intent import Event, Outcome, PaymentIntent, Status
from intent_svc.handlers import Found, IntentHandlers, Told, Wish
from intent_svc.messages import failure_of, payment_intent_message
from intent_svc.store.archived import Owner

LOG = logging.getLogger(__name__)
ITEMS_MAX = 200

# The wrapper's own Name() builds a map at each call.
MODE_NAMES = {number: name for name, number in mode_pb2.ModeEnum.Mode.items()}
OUTCOME_EVENTS = {
    lifecycle_pb2.OutcomeEnum.succeeded: Event.SUCCEED,
    lifecycle_pb2.OutcomeEnum.authorized: Event.AUTHORIZE,
    lifecycle_pb2.OutcomeEnum.failed: Event.FAIL,
    lifecycle_pb2.OutcomeEnum.capture_refused: Event.REFUSE_CAPTURE,
}


class PaymentIntentService(payment_intent_service_pb2_grpc.PaymentIntentServiceServicer):
    """Payments as merchants see them."""

    def __init__(self, handlers: IntentHandlers) -> None:
        self._handlers = handlers

    async def CreatePaymentIntent(
        self,
        request: payment_intent_service_pb2.CreatePaymentIntentRequest,
        context: Context,
    ) -> payment_intent_pb2.PaymentIntent:
        """Create an intent."""
        wish = Wish(
            amount_minor=request.amount_in_cents if request.HasField("amount_in_cents") else None,
            currency=request.currency,
            description=request.description if request.HasField("description") else None,
            metadata=request.metadata,
            is_manual_capture=request.capture_method == payment_intent_pb2.CaptureMethodEnum.manual,
            accepts_part=request.partial_approval
            == payment_intent_pb2.PartialApprovalEnum.accepted,
        )
        keyed = keyed_of(context, "CreatePaymentIntent", request)
        answer = await self._handlers.create(current_caller(), wish, keyed)
        message = payment_intent_pb2.PaymentIntent.FromString(answer.response)
        message.client_secret = self._handlers.client_secret(message.id)
        if answer.is_replay:
            await mark_replayed(context)
        return message

    async def GetPaymentIntent(
        self, request: payment_intent_service_pb2.GetPaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Return an intent."""
        caller = current_caller()
        found = await self._handlers.read(
            caller.merchant_id, caller.mode, request.payment_intent_id
        )
        return _found_message(found)

    async def ListPaymentIntents(
        self, request: payment_intent_service_pb2.ListPaymentIntentsRequest, context: Context
    ) -> payment_intent_service_pb2.PaymentIntentList:
        """List intents."""
        caller = current_caller()
        page, status = page_of(request), _status(request)
        await page.check_cursor(partial(self._handlers.get, caller))
        intents, has_more = await self._handlers.list(
            caller, page, status, period_of(request.created)
        )
        return payment_intent_service_pb2.PaymentIntentList(
            data=[payment_intent_message(intent) for intent in intents], has_more=has_more
        )

    async def CancelPaymentIntent(
        self, request: payment_intent_service_pb2.CancelPaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Give a payment up."""
        changed = await self._handlers.cancel(
            current_caller(),
            request.payment_intent_id,
            keyed_of(context, "CancelPaymentIntent", request),
        )
        if changed.replay is not None:
            await mark_replayed(context)
            return payment_intent_pb2.PaymentIntent.FromString(changed.replay)
        return payment_intent_message(changed.intent)

    async def CapturePaymentIntent(
        self, request: payment_intent_service_pb2.CapturePaymentIntentRequest, context: Context
    ) -> payment_intent_pb2.PaymentIntent:
        """Collect authorized funds."""
        has_amount = request.HasField("amount_to_capture_in_cents")
        answer = await self._handlers.capture(
            current_caller(),
            request.payment_intent_id,
            request.amount_to_capture_in_cents if has_amount else None,
            keyed_of(context, "CapturePaymentIntent", request),
        )
        if answer.is_replay:
            await mark_replayed(context)
        return payment_intent_pb2.PaymentIntent.FromString(answer.response)


class PaymentIntentLifecycleService(lifecycle_grpc.PaymentIntentLifecycleServiceServicer):
    """How transactions move intents; each item has its own verdict."""

    def __init__(self, handlers: IntentHandlers) -> None:
        self._handlers = handlers

    async def BatchBeginProcessing(
        self, request: lifecycle_pb2.BatchBeginProcessingRequest, context: Context
    ) -> lifecycle_pb2.BatchBeginProcessingResponse:
        """Claim intents for transactions."""
        _check_items(len(request.items))
        results = await asyncio.gather(
            *(self._begin(item) for item in request.items), return_exceptions=True
        )
        return lifecycle_pb2.BatchBeginProcessingResponse(
            verdicts=[
                lifecycle_pb2.BeginProcessingVerdict(terms=_terms(result))
                if isinstance(result, PaymentIntent)
                else lifecycle_pb2.BeginProcessingVerdict(refusal=_refusal(result))
                for result in results
            ]
        )

    async def BatchApplyOutcome(
        self, request: lifecycle_pb2.BatchApplyOutcomeRequest, context: Context
    ) -> lifecycle_pb2.BatchApplyOutcomeResponse:
        """Tell intents what became of their transactions."""
        _check_items(len(request.items))
        results = await asyncio.gather(
            *(self._apply(item) for item in request.items), return_exceptions=True
        )
        return lifecycle_pb2.BatchApplyOutcomeResponse(
            verdicts=[
                lifecycle_pb2.ApplyOutcomeVerdict(payment_intent=payment_intent_message(result))
                if isinstance(result, PaymentIntent)
                else lifecycle_pb2.ApplyOutcomeVerdict(refusal=_refusal(result))
                for result in results
            ]
        )

    async def LookUpPaymentIntent(
        self, request: lifecycle_pb2.LookUpPaymentIntentRequest, context: Context
    ) -> lifecycle_pb2.LookUpPaymentIntentResponse:
        """Return an intent."""
        found = await self._handlers.read(
            request.merchant_id, MODE_NAMES.get(request.mode, ""), request.payment_intent_id
        )
        return lifecycle_pb2.LookUpPaymentIntentResponse(payment_intent=_found_message(found))

    async def BatchFindPurgedPayments(
        self, request: lifecycle_pb2.BatchFindPurgedPaymentsRequest, context: Context
    ) -> lifecycle_pb2.BatchFindPurgedPaymentsResponse:
        """Say which payments were purged."""
        _check_items(len(request.items))
        found = await self._handlers.find_purged(
            [Owner(item.merchant_id, item.payment_intent_id) for item in request.items]
        )
        return lifecycle_pb2.BatchFindPurgedPaymentsResponse(payment_intent_ids=found)

    async def BatchCheckClientSecrets(
        self, request: lifecycle_pb2.BatchCheckClientSecretsRequest, context: Context
    ) -> lifecycle_pb2.BatchCheckClientSecretsResponse:
        """Check what browsers show."""
        _check_items(len(request.items))
        results = await asyncio.gather(
            *(
                self._handlers.check_client_secret(
                    item.merchant_id,
                    MODE_NAMES.get(item.mode, ""),
                    item.payment_intent_id,
                    item.client_secret,
                )
                for item in request.items
            ),
            return_exceptions=True,
        )
        return lifecycle_pb2.BatchCheckClientSecretsResponse(
            verdicts=[
                lifecycle_pb2.CheckClientSecretVerdict(
                    refusal=_refusal(result) if result is not None else None
                )
                for result in results
            ]
        )

    async def _begin(self, item: lifecycle_pb2.BeginProcessingItem) -> PaymentIntent:
        return await self._handlers.begin_processing(
            item.merchant_id,
            MODE_NAMES.get(item.mode, ""),
            item.payment_intent_id,
            item.transaction_id,
            item.claim_before,
        )

    async def _apply(self, item: lifecycle_pb2.ApplyOutcomeItem) -> PaymentIntent:
        event = OUTCOME_EVENTS.get(item.outcome)
        if event is None:
            raise ParameterInvalid("An outcome must be certain.", param="outcome")
        return await self._handlers.apply_outcome(
            Told(
                item.merchant_id,
                item.payment_intent_id,
                item.transaction_id,
                Outcome(
                    event,
                    item.amount_captured_in_cents,
                    failure_of(item.failure) if item.HasField("failure") else None,
                    item.capture_before or None,
                    item.capture_number,
                    item.amount_authorized_in_cents,
                ),
            )
        )


def _found_message(found: Found) -> payment_intent_pb2.PaymentIntent:
    message = payment_intent_message(found.intent)
    if found.is_archived:
        message.archived = True
    return message


def _terms(intent: PaymentIntent) -> lifecycle_pb2.ChargeTerms:
    return lifecycle_pb2.ChargeTerms(
        amount_in_cents=intent.amount_minor,
        currency=intent.currency,
        capture_method=str(intent.capture_method),
        partial_approval=str(intent.partial_approval),
    )


def _refusal(error: BaseException) -> lifecycle_pb2.Refusal:
    """Return what an item's caller is told; of what nobody expected, no more than by itself."""
    if not isinstance(error, DomainError):
        LOG.error("unhandled exception", exc_info=error)
        error = ServiceUnavailable()
    return lifecycle_pb2.Refusal(reason=error.reason, message=error.message)


def _check_items(count: int) -> None:
    if not 1 <= count <= ITEMS_MAX:
        raise ParameterInvalid(f"A batch has 1 to {ITEMS_MAX} items.", param="items")


def _status(request: payment_intent_service_pb2.ListPaymentIntentsRequest) -> Status | None:
    if not request.status:
        return None
    return Status(
        payment_intent_pb2.PaymentIntentStatusEnum.PaymentIntentStatus.Name(request.status)
    )
