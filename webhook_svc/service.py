"""gRPC in: webhook endpoints and events, as merchants see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from paymesh.intent.v1 import payment_intent_service_pb2
from paymesh.webhook.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    webhook_endpoint_service_pb2,
    webhook_endpoint_service_pb2_grpc,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.idempotency import Keyed, keyed_of, mark_replayed
from chassis.identity import Context, current_caller
from chassis.paging import Period, page_of, period_of
from webhook_svc.domain.delivery import DeliveryStatus
from webhook_svc.domain.endpoint import EndpointStatus
from webhook_svc.handlers import Act, Change, ReplayWish, WebhookHandlers
from webhook_svc.messages import delivery_message, endpoint_message, event_message

EVENTS_KEPT = timedelta(days=30)

_ENDPOINT_STATUS = webhook_endpoint_service_pb2.WebhookEndpointStatusEnum.WebhookEndpointStatus
_DELIVERY_STATUS = webhook_endpoint_service_pb2.WebhookDeliveryStatusEnum.WebhookDeliveryStatus


class WebhookEndpointService(
    webhook_endpoint_service_pb2_grpc.WebhookEndpointServiceServicer,
):
    """Where merchants want to be told, and what was told."""

    def __init__(self, handlers: WebhookHandlers) -> None:
        self._handlers = handlers

    async def CreateWebhookEndpoint(
        self, request: webhook_endpoint_service_pb2.CreateWebhookEndpointRequest, context: Context
    ) -> webhook_endpoint_service_pb2.WebhookEndpoint:
        """Register an endpoint."""
        caller = current_caller()

        async def act(tx: AsyncConnection) -> bytes:
            endpoint, secret = await self._handlers.create(
                tx,
                caller,
                request.url,
                request.enabled_events,
                request.description if request.HasField("description") else None,
            )
            return bytes(endpoint_message(endpoint, secret).SerializeToString())

        keyed = keyed_of(context, "CreateWebhookEndpoint", request)
        answer = await self._once(context, keyed, act)
        return webhook_endpoint_service_pb2.WebhookEndpoint.FromString(answer)

    async def GetWebhookEndpoint(
        self, request: webhook_endpoint_service_pb2.GetWebhookEndpointRequest, context: Context
    ) -> webhook_endpoint_service_pb2.WebhookEndpoint:
        """Return an endpoint."""
        endpoint = await self._handlers.get(current_caller(), request.webhook_endpoint_id)
        return endpoint_message(endpoint)

    async def ListWebhookEndpoints(
        self, request: webhook_endpoint_service_pb2.ListWebhookEndpointsRequest, context: Context
    ) -> webhook_endpoint_service_pb2.WebhookEndpointList:
        """List endpoints."""
        endpoints, has_more = await self._handlers.page(current_caller(), page_of(request))
        return webhook_endpoint_service_pb2.WebhookEndpointList(
            data=[endpoint_message(endpoint) for endpoint in endpoints], has_more=has_more
        )

    async def UpdateWebhookEndpoint(
        self, request: webhook_endpoint_service_pb2.UpdateWebhookEndpointRequest, context: Context
    ) -> webhook_endpoint_service_pb2.WebhookEndpoint:
        """Change an endpoint."""
        change = Change(
            url=request.url if request.HasField("url") else None,
            enabled_events=request.enabled_events,
            description=request.description if request.HasField("description") else None,
            status=EndpointStatus(_ENDPOINT_STATUS.Name(request.status))
            if request.status
            else None,
        )
        endpoint = await self._handlers.update(
            current_caller(), request.webhook_endpoint_id, change
        )
        return endpoint_message(endpoint)

    async def DeleteWebhookEndpoint(
        self, request: webhook_endpoint_service_pb2.DeleteWebhookEndpointRequest, context: Context
    ) -> webhook_endpoint_service_pb2.DeletedWebhookEndpoint:
        """Delete an endpoint."""
        await self._handlers.delete(current_caller(), request.webhook_endpoint_id)
        return webhook_endpoint_service_pb2.DeletedWebhookEndpoint(
            id=request.webhook_endpoint_id, deleted=True
        )

    async def RotateWebhookEndpointSecret(
        self,
        request: webhook_endpoint_service_pb2.RotateWebhookEndpointSecretRequest,
        context: Context,
    ) -> webhook_endpoint_service_pb2.WebhookEndpoint:
        """Give an endpoint a new secret."""
        caller = current_caller()
        has_overlap = request.HasField("overlap_in_seconds")

        async def act(tx: AsyncConnection) -> bytes:
            endpoint, secret = await self._handlers.rotate_secret(
                tx,
                caller,
                request.webhook_endpoint_id,
                request.overlap_in_seconds if has_overlap else None,
            )
            return bytes(endpoint_message(endpoint, secret).SerializeToString())

        keyed = keyed_of(context, "RotateWebhookEndpointSecret", request)
        answer = await self._once(context, keyed, act)
        return webhook_endpoint_service_pb2.WebhookEndpoint.FromString(answer)

    async def ListWebhookDeliveries(
        self, request: webhook_endpoint_service_pb2.ListWebhookDeliveriesRequest, context: Context
    ) -> webhook_endpoint_service_pb2.WebhookDeliveryList:
        """List an endpoint's deliveries."""
        status = DeliveryStatus(_DELIVERY_STATUS.Name(request.status)) if request.status else None
        found, has_more = await self._handlers.list_deliveries(
            current_caller(), request.webhook_endpoint_id, page_of(request), status
        )
        return webhook_endpoint_service_pb2.WebhookDeliveryList(
            data=[delivery_message(delivery) for delivery in found], has_more=has_more
        )

    async def ReplayWebhookDeliveries(
        self,
        request: webhook_endpoint_service_pb2.ReplayWebhookDeliveriesRequest,
        context: Context,
    ) -> webhook_endpoint_service_pb2.ReplayedWebhookDeliveries:
        """Send events again."""
        caller = current_caller()
        wish = ReplayWish(
            event_id=request.event_id if request.HasField("event_id") else None,
            since=_moment(request.since) if request.HasField("since") else None,
            until=_moment(request.until) if request.HasField("until") else None,
        )

        async def act(tx: AsyncConnection) -> bytes:
            count = await self._handlers.replay(tx, caller, request.webhook_endpoint_id, wish)
            message = webhook_endpoint_service_pb2.ReplayedWebhookDeliveries(count=count)
            return bytes(message.SerializeToString())

        keyed = keyed_of(context, "ReplayWebhookDeliveries", request)
        answer = await self._once(context, keyed, act)
        return webhook_endpoint_service_pb2.ReplayedWebhookDeliveries.FromString(answer)

    async def _once(self, context: Context, keyed: Keyed | None, act: Act) -> bytes:
        """Act and return the answer, or the first answer of a used key, marked as such."""
        answer, is_replay = await self._handlers.once(current_caller(), keyed, act)
        if is_replay:
            await mark_replayed(context)
        return answer


class EventService(event_service_pb2_grpc.EventServiceServicer):
    """What happened to a merchant's payments."""

    def __init__(self, handlers: WebhookHandlers, clock: Clock) -> None:
        self._handlers = handlers
        self._clock = clock

    async def GetEvent(
        self, request: event_service_pb2.GetEventRequest, context: Context
    ) -> event_service_pb2.Event:
        """Return an event."""
        return event_message(await self._handlers.get_event(current_caller(), request.event_id))

    async def ListEvents(
        self, request: event_service_pb2.ListEventsRequest, context: Context
    ) -> event_service_pb2.EventList:
        """List events."""
        found, has_more = await self._handlers.list_events(
            current_caller(),
            page_of(request),
            self._kept(request.created),
            request.type or None,
        )
        return event_service_pb2.EventList(
            data=[event_message(serialized) for serialized in found], has_more=has_more
        )

    def _kept(self, created: payment_intent_service_pb2.CreatedRange) -> Period:
        """Return the part of a range of time from which events are kept."""
        asked, kept_from = period_of(created), self._clock.now() - EVENTS_KEPT
        return replace(asked, gte=max(asked.gte or kept_from, kept_from))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
