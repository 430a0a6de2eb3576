"""Starts webhook_svc."""

from __future__ import annotations

from paymesh.webhook.v1 import event_service_pb2_grpc, webhook_endpoint_service_pb2_grpc

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.consumer import Consumer
from chassis.database import connect
from chassis.heartbeat import heartbeat
from chassis.schema import require_schema
from chassis.sealing import Sealer
from chassis.server import EDGE, Service, only, run, serve
from chassis.slots import slot_watch
from webhook_svc.config import WebhookSettings
from webhook_svc.consumer import GROUP, TOPICS, PaymentConsumer
from webhook_svc.dialing import connector
from webhook_svc.dispatcher import Dispatcher, backlog_meter
from webhook_svc.handlers import WebhookHandlers
from webhook_svc.sender import Sender
from webhook_svc.service import EventService, WebhookEndpointService
from webhook_svc.store.endpoints import EndpointStore
from webhook_svc.store.queue import DeliveryQueue


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(WebhookSettings)
    telemetry.configure(settings)
    clock = SystemClock()
    database = await connect(settings, connections_max=8)
    await require_schema(database, "webhook_svc")
    sealer = Sealer.from_file(settings.master_key_file)
    queue = DeliveryQueue(database, sealer)
    allows_private = settings.allow_private_addresses
    sender = Sender(clock, connector(allows_private=allows_private), allows_private=allows_private)
    first_tries = Dispatcher(queue, sender, clock, is_retry=False)
    retries = Dispatcher(queue, sender, clock, is_retry=True)
    consumer = PaymentConsumer(queue, clock, first_tries.wake)
    handlers = WebhookHandlers(
        EndpointStore(database, sealer), clock, allows_private=allows_private
    )
    endpoints, events = WebhookEndpointService(handlers), EventService(handlers, clock)
    await serve(
        settings,
        services(endpoints, events),
        [
            heartbeat(database),
            slot_watch(database, settings.service_name),
            first_tries,
            retries,
            backlog_meter(queue, clock),
            Consumer(settings, GROUP, TOPICS, consumer.handle),
        ],
    )
    await sender.close()
    await database.close()


def services(endpoints: WebhookEndpointService, events: EventService) -> list[Service]:
    return [
        Service(
            "paymesh.webhook.v1.WebhookEndpointService",
            lambda server: (
                webhook_endpoint_service_pb2_grpc.add_WebhookEndpointServiceServicer_to_server(
                    endpoints, server
                )
            ),
            only(
                EDGE,
                *("CreateWebhookEndpoint", "GetWebhookEndpoint", "ListWebhookEndpoints"),
                *("UpdateWebhookEndpoint", "DeleteWebhookEndpoint", "RotateWebhookEndpointSecret"),
                *("ListWebhookDeliveries", "ReplayWebhookDeliveries"),
            ),
        ),
        Service(
            "paymesh.webhook.v1.EventService",
            lambda server: event_service_pb2_grpc.add_EventServiceServicer_to_server(
                events, server
            ),
            only(EDGE, "GetEvent", "ListEvents"),
        ),
    ]


if __name__ == "__main__":
    run(main())
