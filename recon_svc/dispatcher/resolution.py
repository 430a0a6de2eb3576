"""Works through the attempts about which something is to be done, many at a time."""

from __future__ import annotations

import asyncio
import logging

from opentelemetry import metrics

from chassis.background import keep_running
from chassis.clock import Clock
from chassis.errors import DomainError, ServiceUnavailable
from recon_svc.handlers.resolution import ArrivalHandlers, ResolutionHandlers
from recon_svc.store.attempts import AttemptStore, Claim

LOG = logging.getLogger(__name__)
POLL_S = 0.2
MEASURE_EVERY_S = 5.0
IN_FLIGHT_MAX = 64

_meter = metrics.get_meter("paymesh")
unresolved = _meter.create_gauge(
    "paymesh_unresolved_attempts",
    unit="{attempt}",
    description="Attempts past their deadline whose outcome is not known.",
)
oldest_unresolved = _meter.create_gauge(
    "paymesh_oldest_unresolved_attempt",
    unit="s",
    description="How long the oldest of them is past its deadline.",
)
overdue_reversals = _meter.create_gauge(
    "paymesh_overdue_reversals",
    unit="{attempt}",
    description="Reversals that their network did not acknowledge in its own time.",
)
overdue_captures = _meter.create_gauge(
    "paymesh_overdue_captures",
    unit="{attempt}",
    description="Captures that their network did not acknowledge in its own time.",
)
late_events = _meter.create_gauge(
    "paymesh_late_attempt_events",
    unit="{attempt}",
    description="Recorded attempts whose events have not come in the set time.",
)


class ResolutionDispatcher:
    """Claims what is due and has it resolved; what a crashed process claimed comes back."""

    def __init__(
        self,
        handlers: ResolutionHandlers,
        arrivals: ArrivalHandlers,
        store: AttemptStore,
        clock: Clock,
    ) -> None:
        self._handlers = handlers
        self._arrivals = arrivals
        self._store = store
        self._clock = clock
        self._resolving: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work in the background."""
        self._loops = [
            keep_running(self._work(), name="resolutions"),
            keep_running(self._measure(), name="unresolved"),
            keep_running(self._watch(), name="late events"),
        ]

    async def stop(self) -> None:
        """Claim no more and finish what was claimed."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, *self._resolving, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                free = IN_FLIGHT_MAX - len(self._resolving)
                for claim in await self._handlers.claim(free) if free else ():
                    task = asyncio.create_task(self._resolve(claim), name="resolution")
                    self._resolving.add(task)
                    task.add_done_callback(self._resolving.discard)
            except ServiceUnavailable:
                LOG.info("resolutions wait for the database")
            await asyncio.sleep(POLL_S)

    async def _resolve(self, claim: Claim) -> None:
        try:
            await self._handlers.resolve(claim)
        except ServiceUnavailable:
            LOG.warning("a step was not noted", extra={"attempt_id": claim.attempt.id})

    async def _measure(self) -> None:
        while True:
            try:
                number, age_s = await self._store.unresolved(self._clock.now())
                unresolved.set(number)
                oldest_unresolved.set(age_s)
                reversals, captures = await self._store.overdue()
                overdue_reversals.set(reversals)
                overdue_captures.set(captures)
            except ServiceUnavailable:
                LOG.info("what is unresolved can't be counted")
            await asyncio.sleep(MEASURE_EVERY_S)

    async def _watch(self) -> None:
        while True:
            try:
                late_events.set(await self._arrivals.missing())
            except DomainError as away:
                LOG.info("late events can't be counted", extra={"reason": away.reason})
            await asyncio.sleep(MEASURE_EVERY_S)
