"""Endpoints, events and deliveries as their protobuf messages, and an event as webhooks send it."""

from __future__ import annotations

from datetime import datetime

import orjson
from paymesh.events.v1 import payment_intent_event_pb2
from paymesh.webhook.v1 import event_service_pb2, webhook_endpoint_service_pb2

from chassis.jsonview import to_public_json
from webhook_svc.domain.delivery import Delivery, DeliveryStatus, Try
from webhook_svc.domain.endpoint import Endpoint


def endpoint_message(
    endpoint: Endpoint, secret: str | None = None
) -> webhook_endpoint_service_pb2.WebhookEndpoint:
    """Return the endpoint as the API shows it; the secret only when it is new."""
    return webhook_endpoint_service_pb2.WebhookEndpoint(
        id=endpoint.id,
        url=endpoint.url,
        enabled_events=endpoint.enabled_events,
        description=endpoint.description,
        status=str(endpoint.status),
        secret=secret,
        created=_seconds(endpoint.created),
        mode=endpoint.mode,
    )


def event_message(serialized: bytes) -> event_service_pb2.Event:
    """Return a consumed event as the API shows it."""
    event = payment_intent_event_pb2.PaymentIntentEvent.FromString(serialized)
    return event_service_pb2.Event(
        id=event.id,
        type=event.type,
        created=event.created,
        data=event_service_pb2.EventData(object=event.payment_intent, version=event.version),
        mode=event.mode,
    )


def webhook_body(serialized: bytes) -> bytes:
    """Return the body of every delivery of an event."""
    return orjson.dumps(to_public_json(event_message(serialized)))


def delivery_message(delivery: Delivery) -> webhook_endpoint_service_pb2.WebhookDelivery:
    """Return the delivery as the API shows it."""
    is_pending = delivery.status is DeliveryStatus.PENDING
    return webhook_endpoint_service_pb2.WebhookDelivery(
        id=delivery.id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        status=str(delivery.status),
        next_attempt=_seconds(delivery.next_attempt) if is_pending else None,
        attempts=[_attempt_message(made) for made in delivery.tries],
        created=_seconds(delivery.created),
    )


def _attempt_message(made: Try) -> webhook_endpoint_service_pb2.WebhookDeliveryAttempt:
    return webhook_endpoint_service_pb2.WebhookDeliveryAttempt(
        created=_seconds(made.at),
        duration_ms=made.duration_ms,
        http_status=made.http_status,
        error=made.error,
        response=made.response,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
