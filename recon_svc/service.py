"""gRPC in: breaks, clearing files and the daily report, for the platform team's tools."""

from __future__ import annotations

from datetime import date
from typing import Any

import grpc
from paymesh.recon.v1 import reconciliation_service_pb2 as recon_pb2
from paymesh.recon.v1 import reconciliation_service_pb2_grpc as recon_grpc

from chassis.clock import Clock
from chassis.errors import ParameterInvalid
from recon_svc.domain.breaks import BreakFilter, BreakKind, BreakStatus
from recon_svc.handlers.breaks import BreakHandlers, read_date
from recon_svc.handlers.clearing import ClearingHandlers
from recon_svc.messages import KINDS, STATUSES, break_message, file_message, report_message

LIMIT_DEFAULT = 100

Context = grpc.aio.ServicerContext[Any, Any]


class ReconciliationService(recon_grpc.ReconciliationServiceServicer):
    """Differences between our books and the card networks'."""

    def __init__(self, breaks: BreakHandlers, clearing: ClearingHandlers, clock: Clock) -> None:
        self._breaks = breaks
        self._clearing = clearing
        self._clock = clock

    async def ListBreaks(
        self, request: recon_pb2.ListBreaksRequest, context: Context
    ) -> recon_pb2.ListBreaksResponse:
        """List breaks."""
        asked = BreakFilter(
            kind=_kind(request.kind),
            network=request.network or None,
            status=_status(request),
            owner=request.owner or None,
            business_date_from=_date("business_date_from", request.business_date_from),
            business_date_to=_date("business_date_to", request.business_date_to),
            limit=request.limit if request.HasField("limit") else LIMIT_DEFAULT,
            starting_after=request.starting_after,
        )
        found, has_more = await self._breaks.list(asked)
        now = self._clock.now()
        return recon_pb2.ListBreaksResponse(
            breaks=[break_message(one, now) for one in found], has_more=has_more
        )

    async def AssignBreak(
        self, request: recon_pb2.AssignBreakRequest, context: Context
    ) -> recon_pb2.AssignBreakResponse:
        """Give a break to a person."""
        changed = await self._breaks.assign(request.break_id, request.owner)
        return recon_pb2.AssignBreakResponse(
            assigned_break=break_message(changed, self._clock.now())
        )

    async def ResolveBreak(
        self, request: recon_pb2.ResolveBreakRequest, context: Context
    ) -> recon_pb2.ResolveBreakResponse:
        """Close a break."""
        changed = await self._breaks.resolve(request.break_id, request.resolved_by, request.reason)
        return recon_pb2.ResolveBreakResponse(
            resolved_break=break_message(changed, self._clock.now())
        )

    async def ImportClearingFiles(
        self, request: recon_pb2.ImportClearingFilesRequest, context: Context
    ) -> recon_pb2.ImportClearingFilesResponse:
        """Look into the inbox now."""
        files = await self._clearing.run()
        return recon_pb2.ImportClearingFilesResponse(files=[file_message(file) for file in files])

    async def GetDailyReport(
        self, request: recon_pb2.GetDailyReportRequest, context: Context
    ) -> recon_pb2.GetDailyReportResponse:
        """Sum up a day."""
        return report_message(await self._breaks.report(request.business_date))


def _kind(number: recon_pb2.BreakKindEnum.BreakKind) -> BreakKind | None:
    if not number:
        return None
    kind = KINDS.get(number)
    if kind is None:
        raise ParameterInvalid("kind is not known.", param="kind")
    return kind


def _status(request: recon_pb2.ListBreaksRequest) -> BreakStatus | None:
    if not request.status:
        return None if request.include_resolved else BreakStatus.OPEN
    status = STATUSES.get(request.status)
    if status is None:
        raise ParameterInvalid("status is not known.", param="status")
    if request.include_resolved:
        message = "include_resolved and status can't be used together."
        raise ParameterInvalid(message, param="include_resolved")
    return status


def _date(param: str, text: str) -> date | None:
    return read_date(param, text) if text else None
