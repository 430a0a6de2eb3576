"""Works through what is due: captures and releases to hand over, authorizations that lapse."""

from __future__ import annotations

import asyncio
import logging

from chassis.background import keep_running
from chassis.errors import DomainError, ServiceUnavailable
from intent_svc.domain.payment_intent import PaymentIntent
from intent_svc.handlers import IntentHandlers

LOG = logging.getLogger(__name__)
POLL_S = 0.5
IN_FLIGHT_MAX = 64


class DueDispatcher:
    """Claims what is due and has it done; what a crashed process claimed comes back."""

    def __init__(self, handlers: IntentHandlers) -> None:
        self._handlers = handlers
        self._working: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to work in the background."""
        self._loop = keep_running(self._work(), name="due intents")

    async def stop(self) -> None:
        """Claim no more and finish what was claimed."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, *self._working, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                free = IN_FLIGHT_MAX - len(self._working)
                for intent in await self._handlers.claim_due(free) if free else ():
                    task = asyncio.create_task(self._do(intent), name="due intent")
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
            except ServiceUnavailable:
                LOG.info("what is due waits for the database")
            await asyncio.sleep(POLL_S)

    async def _do(self, intent: PaymentIntent) -> None:
        try:
            await self._handlers.do_due(intent)
        except DomainError as failed:
            # Its lease brings it back.
            about = {"payment_intent_id": intent.id, "reason": failed.reason}
            LOG.warning("not done", extra=about)
