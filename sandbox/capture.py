"""Watches over the capture of a sandbox's databases, and mends it, as the platform team would.

Runs as the role that Debezium has in the databases, and with the operator's certificate in Kafka.
"""

from __future__ import annotations

import asyncio
import urllib.error
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audit_svc.clients import KafkaReader
from audit_svc.domain.gaps import Comparison, RowName
from audit_svc.handlers.gaps import CaptureCheck
from audit_svc.store.archive import Archive
from audit_svc.store.tables import CapturedDatabase, Slot
from sandbox.operator_access import kafka_of
from sandbox.platform.connectors import RUNNING, STOPPED, Connectors
from sandbox.state import StateDir

MODE = "initial"  # of every connector of ours, once it has begun
ROUNDS_MAX = 5  # rows go on changing while they are read again


@dataclass(frozen=True, slots=True)
class Capture:
    """The capture of one database. states: of the connector and its task, as Connect has them."""

    service: str
    states: list[str]
    slot: Slot
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done. reread: the rows that were read again. after: as the capture is now."""

    before: Capture
    is_slot_new: bool
    reread: frozenset[RowName]
    after: Capture


@dataclass(frozen=True, slots=True)
class Access:
    """Where everything is.

    archive: its URL. kafka: what a client of Kafka takes to read all topics.
    connect: "host:port" of a worker. databases: service → URL as the role `debezium`.
    """

    archive: str
    kafka: dict[str, str]
    connect: str
    databases: dict[str, str]


def access_of(state: StateDir, status: dict[str, Any]) -> Access:
    """Return where everything of a running sandbox is."""
    return Access(state.archive.as_uri(), kafka_of(status), status["connect"], status["captured"])


class CaptureControl:
    """The capture of some databases."""

    def __init__(self, access: Access, *, since_us: int = 0) -> None:
        """since_us: see CaptureCheck."""
        self._since_us = since_us
        self._archive = Archive(access.archive)
        self._kafka = KafkaReader(access.kafka)
        self._connectors = Connectors(access.connect)
        self._urls = access.databases

    @property
    def services(self) -> list[str]:
        """Whose databases are captured."""
        return list(self._urls)

    async def look(self, service: str) -> Capture:
        """Return how the capture of a database is."""
        check = await self._check(service)
        return await self._look(service, check)

    async def repair(self, service: str) -> Repair:
        """Make the slot anew if it is lost, and let Debezium read again what the archive lacks.

        Raises RowsNotRead, RuntimeError and TimeoutError where Connect does not do it.
        """
        check = await self._check(service)
        before = await self._look(service, check)
        if before.slot.is_lost:
            await self._forget_slot(service)
        if before.slot.is_lost or await self._is_beginning(service):
            await self._begin(service)
        await self._connectors.until(service, RUNNING)
        now, reread = before, set[RowName]()
        for _ in range(ROUNDS_MAX):
            now = await self._look(service, check)
            if not now.comparison.lost:
                break
            await asyncio.to_thread(check.reread, now.comparison.lost)
            reread |= now.comparison.lost
        return Repair(before, before.slot.is_lost, frozenset(reread), now)

    async def _forget_slot(self, service: str) -> None:
        """Let the connector forget its slot, and up to where it had read from it.

        That is no place in the WAL any more, and it refuses to go on from there. By itself it would
        begin with whole tables, and no more than what is lost shall come again.
        """
        configured = await self._connectors.configuration(service)
        await self._connectors.configure(service, configured | {"snapshot.mode": "no_data"})
        await self._connectors.stop(service)
        await self._connectors.forget_position(service)
        await asyncio.to_thread(self._database(service).drop_slot)

    async def _is_beginning(self, service: str) -> bool:
        """Return whether a repair was broken off before the connector went on by itself."""
        configured = await self._connectors.configuration(service)
        states = await self._connectors.states(service)
        return states == STOPPED or configured["snapshot.mode"] != MODE

    async def _begin(self, service: str) -> None:
        """Let the connector begin at the end of the WAL; it makes a slot if it has none."""
        await self._connectors.resume(service)
        await self._connectors.until_positioned(service)
        configured = await self._connectors.configuration(service)
        await self._connectors.configure(service, configured | {"snapshot.mode": MODE})

    async def _check(self, service: str) -> CaptureCheck:
        database = self._database(service)
        return await asyncio.to_thread(
            CaptureCheck,
            self._archive,
            self._kafka,
            database,
            service,
            since_us=self._since_us,
        )

    async def _look(self, service: str, check: CaptureCheck) -> Capture:
        comparison = await asyncio.to_thread(check.compare)
        slot = await asyncio.to_thread(self._database(service).slot)
        try:
            states = await self._connectors.states(service)
        except (OSError, urllib.error.HTTPError):
            states = []
        return Capture(service, states, slot, comparison)

    def _database(self, service: str) -> CapturedDatabase:
        return CapturedDatabase(self._urls[service], f"paymesh_{service}")


def shown(capture: Capture) -> dict[str, Any]:
    """Return how a capture is, for JSON."""
    found = capture.comparison
    return {
        "service": capture.service,
        "connector": capture.states,
        "slot": capture.slot.status,
        "slotReason": capture.slot.reason,
        "retainedBytes": capture.slot.retained_bytes,
        "verifiedUntilUs": found.verified_until_us,
        "judgedUntilUs": found.judged_until_us,
        "rows": found.rows,
        "lost": _names(found.lost),
        "gone": _names(found.gone),
        "unequalMinutes": [
            {
                "startUs": minute.start_us,
                "rows": minute.rows,
                "captured": minute.captured,
                "digest": minute.digests[0],
                "capturedDigest": minute.digests[1],
            }
            for minute in found.unequal
        ],
    }


def repaired(repair: Repair) -> dict[str, Any]:
    """Return what a repair did, for JSON: how the capture is now, what was missing, and when."""
    return shown(repair.after) | {
        "isSlotNew": repair.is_slot_new,
        "reread": _names(repair.reread),
        "before": shown(repair.before),
    }


def _names(rows: Iterable[Any]) -> list[list[Any]]:
    return sorted([row.table, *row.key] for row in rows)
