"""The parts of webhook_svc that send, and receivers to send to, as tests put them together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web
from paymesh.events.v1 import payment_intent_event_pb2
from paymesh.intent.v1 import payment_intent_pb2

from chassis.consumer import Record
from chassis.database import Database
from chassis.identity import Caller
from chassis.ids import MerchantId, new_id, new_merchant_id
from chassis.paging import Page
from chassis.sealing import Sealer
from tests.fakes import FakeClock
from webhook_svc.consumer import PaymentConsumer
from webhook_svc.dialing import connector
from webhook_svc.dispatcher import Dispatcher
from webhook_svc.domain.delivery import Delivery
from webhook_svc.domain.endpoint import Endpoint
from webhook_svc.handlers import WebhookHandlers
from webhook_svc.sender import Sender
from webhook_svc.store.endpoints import EndpointStore
from webhook_svc.store.queue import DeliveryQueue


@dataclass
class Receiver:
    """A merchant's endpoint that answers as it is told."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    delay_s: float = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Keep what arrives and answer."""
        self.got.append(
            ({name.lower(): text for name, text in request.headers.items()}, await request.read())
        )
        await asyncio.sleep(self.delay_s)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, text="said\0so", headers={"location": self.url})


@dataclass
class Webhooks:
    """The parts of webhook_svc that send, on one database and one clock."""

    clock: FakeClock
    database: Database
    queue: DeliveryQueue
    store: EndpointStore
    handlers: WebhookHandlers
    consumer: PaymentConsumer
    sender: Sender
    caller: Caller

    async def endpoint(self, url: str, *events: str) -> tuple[Endpoint, str]:
        """Register an endpoint and return it with its secret."""
        made: list[tuple[Endpoint, str]] = []

        async def act(tx: object) -> bytes:
            made.append(
                await self.handlers.create(tx, self.caller, url, events or ("*",), None)  # type: ignore[arg-type]
            )
            return b"made"

        await self.handlers.once(self.caller, None, act)
        return made[0]

    async def happen(self, type_: str = "payment.created", count: int = 1) -> list[str]:
        """Let payments' events arrive, and return their ids."""
        records = [a_record(self.caller.merchant_id, type_) for _ in range(count)]
        await self.consumer.handle(records)
        return [record.event_id for record in records]

    async def send(self, *, is_retry: bool = False) -> int:
        """Send what is due and wait for it."""
        dispatcher = Dispatcher(self.queue, self.sender, self.clock, is_retry=is_retry)
        count = await dispatcher.work()
        await dispatcher.finish()
        return count

    async def deliveries(self, endpoint: Endpoint) -> list[Delivery]:
        """Return an endpoint's deliveries as the merchant sees them."""
        found, _ = await self.handlers.list_deliveries(self.caller, endpoint.id, Page(100), None)
        return found


@asynccontextmanager
async def webhooks_on(database: Database, sealer: Sealer) -> AsyncIterator[Webhooks]:
    """Put the parts together on a database, for a new merchant and a clock that stands at now."""
    clock = FakeClock(datetime.now(UTC))
    queue, store = DeliveryQueue(database, sealer), EndpointStore(database, sealer)
    sender = Sender(clock, connector(allows_private=True), allows_private=True)
    yield Webhooks(
        clock,
        database,
        queue,
        store,
        WebhookHandlers(store, clock, allows_private=True),
        PaymentConsumer(queue, clock, lambda: None),
        sender,
        Caller(new_merchant_id(), "test"),
    )
    await sender.close()


def a_record(merchant_id: MerchantId, type_: str) -> Record:
    event = payment_intent_event_pb2.PaymentIntentEvent(
        id=new_id("evt", merchant_id),
        type=type_,
        created=int(datetime.now(UTC).timestamp()),
        version=1,
        merchant_id=merchant_id,
        mode="test",
        payment_intent=payment_intent_pb2.PaymentIntent(
            id=new_id("pi", merchant_id), amount_in_cents=1099, currency="usd"
        ),
    )
    return Record("events.payment_intent", 0, 0, "pi_1", event.SerializeToString(), event.id, type_)
