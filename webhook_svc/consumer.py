"""Kafka in: payment intents' events become rows that the dispatcher sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError
from paymesh.events.v1 import payment_intent_event_pb2
from paymesh.merchant.v1 import mode_pb2

from chassis.clock import Clock
from chassis.consumer import PoisonRecord, Record
from chassis.ids import MerchantId
from webhook_svc.store.queue import DeliveryQueue, NewEvent

GROUP = "webhook-payments"
TOPICS = ["events.payment_intent"]
# The wrapper's own Name() builds a map at each call.
MODE_NAMES = {number: name for name, number in mode_pb2.ModeEnum.Mode.items()}


class PaymentConsumer:
    """Writes events and their deliveries. arrived: called when there is something to send."""

    def __init__(self, queue: DeliveryQueue, clock: Clock, arrived: Callable[[], None]) -> None:
        self._queue = queue
        self._clock = clock
        self._arrived = arrived

    async def handle(self, records: Sequence[Record]) -> None:
        """Write the events of these records; those that are there already change nothing."""
        found = [_new_event(record) for record in records]
        endpoints = await self._queue.endpoints({event.merchant_id for event in found})
        if await self._queue.insert(found, endpoints, self._clock.now()):
            self._arrived()


def _new_event(record: Record) -> NewEvent:
    try:
        event = payment_intent_event_pb2.PaymentIntentEvent.FromString(record.value)
    except DecodeError as broken:
        raise PoisonRecord("not a PaymentIntentEvent") from broken
    return NewEvent(
        id=event.id,
        merchant_id=MerchantId(event.merchant_id),
        mode=MODE_NAMES[event.mode],
        type=event.type,
        message=record.value,
        created=event.created,
    )
