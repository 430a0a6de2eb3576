"""What is done about attempts without an answer, and whether the events of all have come."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import DomainError, Kind
from chassis.networks import NetworkRules
from recon_svc.clients import AttemptClient
from recon_svc.domain.resolution import (
    CHECK_AGAIN_S,
    Action,
    Said,
    ask_again_after_s,
    is_failed_when_not_found,
    next_action,
)
from recon_svc.store.attempts import AttemptStore, Claim

LOG = logging.getLogger(__name__)
LEASE_MARGIN = timedelta(seconds=10)  # beyond the time that an inquiry may take
LOOK_BACK_S = 3600  # what a process that starts looks at first
SPAN_S_MAX = 7200
AWAY_S = 1.0  # before a part that is away is tried again


class ResolutionHandlers:
    """Resolves attempts. rules: by the network's name."""

    def __init__(
        self,
        store: AttemptStore,
        client: AttemptClient,
        rules: Mapping[str, NetworkRules],
        clock: Clock,
    ) -> None:
        self._store = store
        self._client = client
        self._rules = rules
        self._clock = clock
        timeouts_s = (network.timeout_s for network in rules.values())
        self._lease = timedelta(seconds=max(timeouts_s, default=0.0)) + LEASE_MARGIN

    async def claim(self, limit: int) -> list[Claim]:
        """Return attempts about which something is to be done now."""
        return await self._store.claim(self._clock.now(), limit, self._lease)

    async def resolve(self, claim: Claim) -> None:
        """Take the next step for a claimed attempt and write down when to look again.

        What it came to arrives as an event, which ends the matter; until then it comes back.
        """
        attempt = claim.attempt
        inquiries, pause_s = attempt.inquiries, CHECK_AGAIN_S
        try:
            if next_action(attempt, self._rules[attempt.network]) is Action.REVERSE:
                await self._client.reverse(attempt)
            else:
                pause_s = await self._inquire(claim)
                inquiries += 1
        except DomainError as refused:
            # Settled meanwhile, or undone already: the event that says so is on its way.
            pause_s = CHECK_AGAIN_S if refused.kind is Kind.WRONG_STATE else AWAY_S
            LOG.info("not resolved", extra={"attempt_id": attempt.id, "reason": refused.reason})
        await self._store.later(claim, self._clock.now().timestamp() + pause_s, inquiries)

    async def _inquire(self, claim: Claim) -> float:
        """Ask, settle what is certain, and return the pause until the next look."""
        attempt, rules = claim.attempt, self._rules[claim.attempt.network]
        inquiry = await self._client.inquire(attempt)
        now = self._clock.now().timestamp()
        is_certain = inquiry.said in {Said.APPROVED, Said.DECLINED} or (
            inquiry.said is Said.NOT_FOUND and is_failed_when_not_found(attempt, rules, now)
        )
        if not is_certain:
            return ask_again_after_s(attempt, rules, inquiry.said, now)
        await self._client.resolve(attempt, inquiry)
        return CHECK_AGAIN_S


class ArrivalHandlers:
    """Watches that the events of all recorded attempts come; the rest relies on that.

    late_s: how long they may take. What has not come is looked for until it has.
    """

    def __init__(
        self, store: AttemptStore, client: AttemptClient, clock: Clock, late_s: float
    ) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._late_s = late_s
        self._complete_until = self._now() - LOOK_BACK_S

    async def missing(self) -> int:
        """Return how many attempts were recorded whose events are late. Raises DomainError."""
        until = min(int(self._now() - self._late_s), self._complete_until + SPAN_S_MAX)
        if until <= self._complete_until:
            return 0
        span = (self._complete_until, until)
        missing = await self._client.count(*span) - await self._store.count(*span)
        if missing > 0:
            LOG.error("events of attempts are late", extra={"missing": missing, "since": span[0]})
            return missing
        self._complete_until = until
        return 0

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
