"""Mends the capture of a sandbox as its operator does, and says how the capture of all is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from audit_svc.domain.gaps import MINUTE_US, RowName, RowsNotRead
from chassis.errors import ServiceUnavailable
from sandbox.capture import CaptureControl, access_of
from tests.faults.evidence import Captured, Gap, Name
from tests.faults.mesh import Mesh
from tests.faults.slots import now_us


async def mend(mesh: Mesh, service: str, since_us: int) -> Gap:
    """Have a database's lost slot made anew and its lost rows read again; return what was said."""
    begun_us = await asyncio.to_thread(now_us, mesh, service)
    try:
        repair = await _control(mesh).repair(service)
    except (RowsNotRead, ServiceUnavailable, RuntimeError, OSError) as failed:
        return Gap(service, since_us, begun_us, now_us(mesh, service), failure=repr(failed))
    return Gap(
        service,
        since_us,
        begun_us,
        await asyncio.to_thread(now_us, mesh, service),
        is_slot_new=repair.is_slot_new,
        reread=_named(service, repair.reread),
        gone=_named(service, repair.after.comparison.gone),
        minutes=tuple(minute.start_us // MINUTE_US for minute in repair.before.comparison.unequal),
    )


async def captures(mesh: Mesh) -> list[Captured]:
    """Return how the capture of each database is, which a command tells of too."""
    control = _control(mesh)
    return [
        Captured(
            each.service,
            each.states,
            each.slot.status,
            each.comparison.rows,
            _named(each.service, each.comparison.lost),
            _named(each.service, each.comparison.gone),
        )
        for each in await asyncio.gather(*map(control.look, control.services))
    ]


def _control(mesh: Mesh) -> CaptureControl:
    return CaptureControl(access_of(mesh.state, mesh.status()))


def _named(service: str, rows: Iterable[RowName]) -> frozenset[Name]:
    return frozenset((f"{service}.{row.table}", str(row.key[-1])) for row in rows)
