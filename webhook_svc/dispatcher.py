"""Works through the waiting deliveries: claims a few of each endpoint, sends, settles."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Protocol

from opentelemetry import metrics

from chassis.background import Repeated, keep_running
from chassis.clock import Clock
from chassis.errors import ServiceUnavailable
from webhook_svc.domain.delivery import DeliveryStatus, Try, draw_jitter, next_attempt
from webhook_svc.store.queue import Claim, DeliveryQueue, Settlement

LOG = logging.getLogger(__name__)
POLL_S = 1.0
MEASURE_EVERY_S = 5.0
PER_ENDPOINT = 8
FIRST_TRIES_MAX = 256
RETRIES_MAX = 128

_meter = metrics.get_meter("paymesh")
pending_deliveries = _meter.create_gauge(
    "paymesh_pending_deliveries",
    unit="{delivery}",
    description="Webhooks that wait for their first try or their next.",
)
oldest_due_delivery = _meter.create_gauge(
    "paymesh_oldest_due_delivery",
    unit="s",
    description="For how long the webhook has been due that is due longest.",
)


class Sends(Protocol):
    """Makes a try: over HTTP, or in a test's own way."""

    async def send(self, claim: Claim) -> Try:
        """Post a delivery and return what came of it."""


class Dispatcher:
    """Sends first tries or retries; each kind has slots of its own, so neither delays the other.

    An endpoint holds at most `PER_ENDPOINT` slots, so a slow or dead one does not delay others.
    """

    def __init__(
        self, queue: DeliveryQueue, sender: Sends, clock: Clock, *, is_retry: bool
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._clock = clock
        self._is_retry = is_retry
        self._slots = RETRIES_MAX if is_retry else FIRST_TRIES_MAX
        self._in_flight: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False

    def wake(self) -> None:
        """Look at once: something has arrived."""
        self._wake.set()

    async def start(self) -> None:
        """Begin to work in the background."""
        self._loop = keep_running(self._run(), name="dispatcher")

    async def stop(self) -> None:
        """Claim no more and finish what was claimed."""
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            await self._loop
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                claimed = await self.work()
            except ServiceUnavailable:
                claimed = 0
            if claimed == 0:
                await self._pause()

    async def work(self) -> int:
        """Claim what is due and begin to send it; return how many."""
        free = self._slots - len(self._tasks)
        if free <= 0:
            return 0
        busy = [name for name, count in self._in_flight.items() if count >= PER_ENDPOINT]
        claims = await self._queue.claim(
            self._clock.now(),
            is_retry=self._is_retry,
            limit=free,
            per_endpoint=PER_ENDPOINT,
            busy=busy,
        )
        for claim in claims:
            self._in_flight[claim.endpoint_id] += 1
            task = asyncio.create_task(self.deliver(claim), name="delivery")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claims)

    async def finish(self) -> None:
        """Wait for everything that is being sent."""
        await asyncio.gather(*self._tasks)

    async def deliver(self, claim: Claim) -> None:
        """Send a claimed delivery and write down what came of it."""
        try:
            made = await self._sender.send(claim)
            await self._queue.settlements.submit(self._settlement(claim, made))
            if made.is_gone:
                await self._queue.disable(claim)
        except ServiceUnavailable:
            # Nothing is written, so it is sent once more when its lease is over.
            LOG.warning("a try could not be noted", extra={"delivery_id": claim.id})
        finally:
            self._in_flight[claim.endpoint_id] -= 1
            if not self._in_flight[claim.endpoint_id]:
                del self._in_flight[claim.endpoint_id]
            self._wake.set()

    def _settlement(self, claim: Claim, made: Try) -> Settlement:
        first_at = claim.first_at or made.at
        if made.is_success:
            return Settlement(claim, DeliveryStatus.SUCCEEDED, first_at, made, None)
        if made.is_gone:
            return Settlement(claim, DeliveryStatus.CANCELED, first_at, made, None)
        again = next_attempt(claim.tries + 1, first_at, self._clock.now(), draw_jitter())
        status = DeliveryStatus.PENDING if again is not None else DeliveryStatus.EXHAUSTED
        return Settlement(claim, status, first_at, made, again)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), POLL_S)
        except TimeoutError:
            return


def backlog_meter(queue: DeliveryQueue, clock: Clock) -> Repeated:
    """Return what tells how many deliveries wait, and for how long, to run beside a server."""

    async def measure() -> None:
        number, due_s = await queue.backlog(clock.now())
        pending_deliveries.set(number)
        oldest_due_delivery.set(due_s)

    return Repeated("backlog", measure, MEASURE_EVERY_S)
