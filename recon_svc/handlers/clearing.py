"""From a file in the inbox to breaks: each step commits by itself and may be repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime

from chassis.clock import Clock
from chassis.errors import DomainError, Kind
from chassis.networks import NetworkRules
from recon_svc.clearing.inbox import FileChanged, Inbox
from recon_svc.clearing.reading import Reading, reading
from recon_svc.clients import AttemptClient
from recon_svc.domain.business_day import cut_off, days_due, due_after
from recon_svc.domain.clearing import FileHeader, FileRejected
from recon_svc.domain.clearing_file import ClearingFile, InboxFile, network_of
from recon_svc.domain.resolution import OpenAttempt
from recon_svc.store.clearing import ClearingStore, Times
from recon_svc.store.finding import FindingStore
from recon_svc.store.judging import JudgingStore

LOG = logging.getLogger(__name__)
RESOLVED_AT_ONCE = 16


class ClearingHandlers:
    """Takes clearing files and matches their lines. rules: by the network's name."""

    def __init__(
        self,
        inbox: Inbox,
        stores: tuple[ClearingStore, JudgingStore, FindingStore],
        client: AttemptClient,
        rules: Mapping[str, NetworkRules],
        clock: Clock,
    ) -> None:
        self._inbox = inbox
        self._files, self._judging, self._finding = stores
        self._client = client
        self._rules = rules
        self._clock = clock
        self._running = asyncio.Lock()

    async def run(self) -> list[ClearingFile]:
        """Take what is new in the inbox, match what can be matched, find what is missing.

        Returns what became of the new files. Raises ServiceUnavailable, InboxUnavailable; then it
        goes on from there the next time.
        """
        async with self._running:
            found = await asyncio.to_thread(self._inbox.files)
            new = await self._files.unknown(found)
            for file in new:
                await self._take(file)
            while (opened := await self._judging.judge_file(self._clock.now())) is not None:
                await self._settle(opened)
            now = self._clock.now()
            while (opened := await self._judging.look_again(now)) is not None:
                await self._settle(opened)
            await self._find()
            return await self._files.files(new)

    async def _take(self, file: InboxFile) -> None:
        network = network_of(file.name, self._rules)
        header = None
        try:
            if network is None:
                raise FileRejected("name", "begins with no network that is known")  # noqa: TRY301
            async with reading(network, self._inbox, file) as read:
                header = await read.header()
                await self._load(file, header, read)
        except FileChanged:
            LOG.info("clearing file changed meanwhile", extra={"file": file.name})
        except FileRejected as refused:
            LOG.warning("clearing file refused", extra={"file": file.name, "reason": str(refused)})
            await self._files.refuse(file, network, header, refused, self._clock.now())

    async def _load(self, file: InboxFile, header: FileHeader, read: Reading) -> None:
        rule = self._rules[header.network].clearing
        ends = cut_off(rule, header.business_date, file.written)
        times = Times(self._clock.now(), ends, due_after(rule, ends))
        await self._files.load(file, header, read, times)
        LOG.info("clearing file loaded", extra={"file": file.name})

    async def _settle(self, opened: Iterable[OpenAttempt]) -> None:
        """Have attempts settled by what the network presents; what fails is tried again."""
        free = asyncio.Semaphore(RESOLVED_AT_ONCE)
        await asyncio.gather(*(self._settle_one(attempt, free) for attempt in opened))

    async def _settle_one(self, attempt: OpenAttempt, free: asyncio.Semaphore) -> None:
        async with free:
            try:
                await self._client.settle_presented(attempt)
            except DomainError as refused:
                # Settled meanwhile: the event that says so is on its way, and the line waits.
                level = logging.INFO if refused.kind is Kind.WRONG_STATE else logging.WARNING
                extra = {"attempt_id": attempt.attempt_id, "reason": refused.reason}
                LOG.log(level, "not settled by its line", extra=extra)

    async def _find(self) -> None:
        now = self._clock.now()
        while await self._finding.find_missing(now):
            LOG.debug("looking for what is missing")
        await self._finding.find_overdue(now)
        await self._find_late(now)
        await self._finding.end(now)

    async def _find_late(self, now: datetime) -> None:
        days = {
            network: list(days_due(rules.clearing, now)) for network, rules in self._rules.items()
        }
        await self._finding.find_late(days, now)
