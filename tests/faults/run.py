"""One run: pay while things go wrong, heal, wait for quiet, look at what is there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from sandbox.merchants import create_merchant
from sandbox.state import StateDir
from tests.e2e.merchant import Keys, Merchant, session
from tests.faults import gather
from tests.faults.certainty import certainties
from tests.faults.checks import CHECKS
from tests.faults.evidence import Endpoint, Evidence, Gap
from tests.faults.inject import Injector
from tests.faults.mending import mend
from tests.faults.merchants import Merchants
from tests.faults.mesh import Mesh
from tests.faults.plan import (
    MERCHANTS,
    draw_faults,
    draw_payments,
    duration_s,
    slots_to_lose,
)
from tests.faults.receiver import Receiver
from tests.faults.report import Report

EVENT_TYPES = (
    *("payment.created", "payment.processing", "payment.authorized"),
    *("payment.succeeded", "payment.failed", "payment.canceled", "payment.capture_failed"),
)
# The last merchant wants to hear of outcomes alone.
SUBSCRIPTIONS = (EVENT_TYPES, EVENT_TYPES, ("payment.succeeded", "payment.failed"))
TAKEN = """
select count(distinct network) as count from clearing_files
where status = 'taken' and check_after is null
"""
HEARD = "select id, status from attempts"
QUIET_S_MAX = 240.0
UNCHANGED_S = 75.0  # longer than a lease of webhook_svc: what is open stays open

Say = Callable[[str], None]


async def run(seed: int, payments: int, folder: Path, say: Say) -> Report:
    """Run a seed on a sandbox of its own in this folder and return what was found."""
    mesh = Mesh(StateDir(folder))
    say("starting a sandbox")
    try:
        await asyncio.to_thread(mesh.up)
        async with AsyncExitStack() as stack:
            receiver = await stack.enter_async_context(Receiver())
            http = await stack.enter_async_context(session(Path(mesh.status()["ca_file"])))
            return await _Run(mesh, receiver, seed, payments, say).go(
                [Merchant(http, mesh.status()["edge_url"], keys) for keys in await _keys(mesh)]
            )
    finally:
        await asyncio.to_thread(mesh.down)


async def _keys(mesh: Mesh) -> list[Keys]:
    made = [
        await create_merchant(mesh.state, mesh.status(), f"Shop {number}", "test")
        for number in range(MERCHANTS)
    ]
    return [Keys(keys.merchant_id, keys.publishable_key, keys.secret_key) for keys in made]


class _Run:
    def __init__(self, mesh: Mesh, receiver: Receiver, seed: int, payments: int, say: Say) -> None:
        self._mesh = mesh
        self._receiver = receiver
        self._seed = seed
        self._payments = payments
        self._say = say

    async def go(self, owners: list[Merchant]) -> Report:
        endpoints = [
            await self._subscribe(owner, types)
            for owner, types in zip(owners, SUBSCRIPTIONS, strict=True)
        ]
        merchants = Merchants(owners, self._seed)
        injector = Injector(self._mesh, self._say)
        await self._pay(merchants, injector)
        self._say("healing")
        await self._mesh.healthy()
        gaps = [await self._mend(*lost) for lost in injector.uncaptured_since_us.items()]
        self._note_what_is_there(merchants)
        self._say("asking again for what has no answer")
        await merchants.ask_again()
        self._say("waiting for quiet")
        await self._quiet(self._waiting)
        self._say("waiting for the clearing files to be taken")
        await asyncio.to_thread(self._mesh.clear)
        await self._quiet(self._untaken)
        evidence = await asyncio.to_thread(
            gather.evidence,
            self._mesh,
            merchants.requests,
            endpoints,
            self._receiver.deliveries,
            gaps,
        )
        return self._report(evidence, injector)

    async def _subscribe(self, owner: Merchant, types: tuple[str, ...]) -> Endpoint:
        merchant_id = owner.keys.merchant_id
        body = {"url": self._receiver.url(merchant_id), "enabledEvents": list(types)}
        answer = await owner.call("POST", "/webhook-endpoints", body)
        if answer.status != 200:
            raise RuntimeError(f"no endpoint: {answer.content!r}")
        self._receiver.trust(merchant_id, answer.json["secret"])
        return Endpoint(merchant_id, types)

    async def _pay(self, merchants: Merchants, injector: Injector) -> None:
        lasts_s = duration_s(self._payments)
        networks = sorted(self._mesh.status()["proxies"])
        slots = slots_to_lose(self._payments)
        faults = draw_faults(self._seed, lasts_s, self._mesh.victims(), networks, slots)
        payments = draw_payments(self._seed, self._payments)
        self._say(f"{len(payments)} payments and {len(faults)} faults in {lasts_s:.0f} s")
        await asyncio.gather(merchants.make(payments), injector.carry_out(faults))

    async def _mend(self, service: str, since_us: int) -> Gap:
        self._say(f"mending the capture of {service}")
        gap = await mend(self._mesh, service, since_us)
        self._say(gap.failure or f"read {len(gap.reread)} rows again")
        return gap

    def _note_what_is_there(self, merchants: Merchants) -> None:
        """Write down what unanswered requests made, before they are sent again."""
        made = [
            *((row.merchant_id, row.description, row.id) for row in gather.intents(self._mesh)),
            *((row.merchant_id, row.key, row.id) for row in gather.transactions(self._mesh)),
        ]
        for request in merchants.requests:
            if request.told is None:
                request.found_before = [
                    found_id
                    for merchant_id, key, found_id in made
                    if (merchant_id, key) == (request.merchant_id, request.key)
                ]

    async def _quiet(self, count: Callable[[], dict[str, int]]) -> None:
        """Wait until nothing is left to count, or nothing moves any more."""
        deadline = time.monotonic() + QUIET_S_MAX
        seen, seen_at = "", time.monotonic()
        while time.monotonic() < deadline:
            waiting = await asyncio.to_thread(count)
            now = json.dumps(waiting, sort_keys=True)
            if not any(waiting.values()):
                return
            if now != seen:
                seen, seen_at = now, time.monotonic()
            elif time.monotonic() - seen_at > UNCHANGED_S:
                self._say(f"nothing moves any more: {waiting}")
                return
            await asyncio.sleep(1)
        self._say(f"not quiet after {QUIET_S_MAX:.0f} s: {waiting}")

    def _waiting(self) -> dict[str, int]:
        """Return how many of each kind still wait for something."""
        [told] = self._mesh.query("webhook", "select count(*) as count from events")
        [sending] = self._mesh.query(
            "webhook", "select count(*) as count from deliveries where status = 'pending'"
        )
        [written] = self._mesh.query("intent", "select count(*) as count from outbox")
        attempts = gather.attempts(self._mesh)
        heard = {(row["id"], row["status"]) for row in self._mesh.query("recon", HEARD)}
        return {
            "intents": sum(row.is_open for row in gather.intents(self._mesh)),
            "transactions": sum(row.is_open for row in gather.transactions(self._mesh)),
            "attempts": sum(row.is_open for row in attempts),
            "attempts not known to recon_svc": sum(
                (row.id, row.status) not in heard for row in attempts
            ),
            "events not known to webhook_svc": int(written["count"]) - int(told["count"]),
            "deliveries": int(sending["count"]),
        }

    def _untaken(self) -> dict[str, int]:
        """Return how many clearing files and lines are not dealt with yet."""
        [taken] = self._mesh.query("recon", TAKEN)
        [lines] = self._mesh.query(
            "recon",
            "select count(*) as count from clearing_lines where verdict in ('waiting', 'open')",
        )
        networks = len(self._mesh.status()["networks"])
        return {"files": networks - int(taken["count"]), "lines": int(lines["count"])}

    def _report(self, evidence: Evidence, injector: Injector) -> Report:
        return Report(
            seed=self._seed,
            payments=self._payments,
            faults=[str(fault) for fault in injector.done],
            restarts=self._mesh.restarts(),
            proxied=self._mesh.proxied(),
            certainty_s=sorted(end.took_s for end in certainties(evidence.changes)),
            findings=[check(evidence) for check in CHECKS],
        )
