"""Mends the capture of a sandbox as its operator does, and says how the capture of all is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from audit_svc.domain.gaps import MINUTE_US, RowName, RowsNotRead
from chassis.errors import ServiceUnavailable
from sandbox.capture import CaptureControl, access_of
from tests.faults.evidence import Captured, Gap, Name
from tests.faults.mesh import Mesh
from tests.faults.slots import now_us

TRIES = 3


async def mend(mesh: Mesh, service: str, since_us: int) -> Gap:
    """Have a database's lost slot made anew and its lost rows read again; return what was said.

    As the runbook has it: status before, and the repair again after any failure.
    """
    control = _control(mesh)
    begun_us = await asyncio.to_thread(now_us, mesh, service)
    gap = Gap(service, since_us, begun_us, begun_us)
    for _ in range(TRIES):
        try:
            gap = await _mended(control, gap)
        except (RowsNotRead, ServiceUnavailable, RuntimeError, OSError) as failed:
            gap = replace(gap, failure=repr(failed))
        else:
            break
    return replace(gap, ended_us=await asyncio.to_thread(now_us, mesh, service))


async def _mended(control: CaptureControl, gap: Gap) -> Gap:
    """Try once. A try that was broken off may have read rows again: `status` had told of them."""
    before = await control.look(gap.service)
    gap.reread.update(_named(gap.service, before.comparison.lost))
    gap.minutes.update(minute.start_us // MINUTE_US for minute in before.comparison.unequal)
    repair = await control.repair(gap.service)
    gap.reread.update(_named(gap.service, repair.reread))
    return replace(
        gap,
        is_slot_new=not repair.after.slot.is_lost,
        gone=_named(gap.service, repair.after.comparison.gone),
        failure="",
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
