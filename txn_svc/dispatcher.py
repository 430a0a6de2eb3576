"""Works through what is due: reversals, captures, charges that were never sent, kept cards."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine

from chassis.background import keep_running
from chassis.errors import ServiceUnavailable
from txn_svc.domain.attempt import Attempt
from txn_svc.handlers.attempts import AttemptHandlers
from txn_svc.handlers.captures import CaptureHandlers
from txn_svc.handlers.card_tokens import CardTokenHandlers
from txn_svc.handlers.kept_pans import KeptPans

LOG = logging.getLogger(__name__)
POLL_S = 0.25
SWEEP_EVERY_S = 5.0
PURGE_EVERY_S = 10.0
REWRAP_EVERY_S = 5.0
IN_FLIGHT_MAX = 64
SWEPT_MAX = 100


class CardPurge:
    """Deletes cards that nothing can need any more, and keeps the others under the current key."""

    def __init__(self, tokens: CardTokenHandlers, pans: KeptPans) -> None:
        self._tokens = tokens
        self._pans = pans
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work in the background."""
        self._loops = [
            keep_running(self._purge(), name="card purge"),
            keep_running(self._sweep(), name="kept cards"),
            keep_running(self._rewrap(), name="rewrapping"),
        ]

    async def stop(self) -> None:
        """Delete no more; what is half rewrapped stays as it was."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _purge(self) -> None:
        while True:
            try:
                await self._tokens.purge()
            except ServiceUnavailable:
                LOG.warning("card tokens were not purged")
            await asyncio.sleep(PURGE_EVERY_S)

    async def _sweep(self) -> None:
        while True:
            try:
                await self._pans.sweep()
            except ServiceUnavailable:
                LOG.warning("kept cards were not swept")
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _rewrap(self) -> None:
        while True:
            try:
                await self._pans.rewrap()
            except ServiceUnavailable:
                LOG.warning("kept cards were not rewrapped")
            await asyncio.sleep(REWRAP_EVERY_S)


class AdviceDispatcher:
    """Sends reversals and captures until they are acknowledged; never gives one up."""

    def __init__(self, handlers: AttemptHandlers, captures: CaptureHandlers) -> None:
        self._handlers = handlers
        self._captures = captures
        self._sending: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work in the background, when no open exchange's STAN can be used again."""
        await self._hold_open_stans()
        self._loops = [
            keep_running(self._send_due(), name="advices"),
            keep_running(self._sweep(), name="never recorded"),
        ]

    async def stop(self) -> None:
        """Claim no more and finish what is being sent."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, *self._sending, return_exceptions=True)
        await self._handlers.stop()

    async def _send_due(self) -> None:
        while True:
            try:
                if free := IN_FLIGHT_MAX - len(self._sending):
                    for _, attempt in await self._handlers.claim_reversals(free):
                        self._begin(self._send(attempt, self._handlers.send_reversal(attempt)))
                if free := IN_FLIGHT_MAX - len(self._sending):
                    for authorization, capture in await self._captures.claim_captures(free):
                        sending = self._captures.send_again(authorization, capture)
                        self._begin(self._send(capture, sending))
            except ServiceUnavailable:
                LOG.info("advices wait for the database")
            await asyncio.sleep(POLL_S)

    def _begin(self, sending: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(sending, name="advice")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, attempt: Attempt, sending: Awaitable[None]) -> None:
        try:
            await sending
        except ServiceUnavailable:
            # Nothing is written, so it is sent once more when its lease is over.
            LOG.warning("an advice could not be noted", extra={"attempt_id": attempt.id})

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            await self._hold_open_stans()
            try:
                await self._handlers.give_up_never_recorded(SWEPT_MAX)
                await self._handlers.tell_abandoned_claims(SWEPT_MAX)
            except ServiceUnavailable:
                LOG.info("the sweep waits for the database")

    async def _hold_open_stans(self) -> None:
        try:
            await self._handlers.hold_open_stans()
        except ServiceUnavailable:
            LOG.warning("the STANs of open exchanges are not known")
