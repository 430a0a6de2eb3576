"""Breaks, files and reports as messages of the contract."""

from __future__ import annotations

from datetime import datetime

from paymesh.recon.v1 import reconciliation_service_pb2 as recon_pb2

from recon_svc.domain.breaks import (
    PROPOSED_ACTIONS,
    Break,
    BreakKind,
    BreakStatus,
    OurSide,
    TheirSide,
)
from recon_svc.domain.clearing_file import ClearingFile
from recon_svc.domain.report import BreakSum, DailyReport, ReportRow, Sum

INT32_MAX = 2**31 - 1

STATUSES = {recon_pb2.BreakStatusEnum.BreakStatus.Value(status): status for status in BreakStatus}
KINDS = {recon_pb2.BreakKindEnum.BreakKind.Value(kind): kind for kind in BreakKind}


def break_message(shown: Break, now: datetime) -> recon_pb2.Break:
    """Return a break; open ones age until now."""
    ours, theirs, resolution = shown.ours, shown.theirs, shown.resolution
    side = ours or theirs
    message = recon_pb2.Break(
        id=shown.id,
        kind=str(shown.kind),
        network=shown.network,
        currency=side.currency if side is not None else "",
        owner=shown.owner,
        created=int(shown.created.timestamp()),
        business_date=shown.business_date.isoformat(),
        age_in_seconds=_age_s(shown, now),
        proposed_action=PROPOSED_ACTIONS[shown.kind],
    )
    if ours is not None:
        message.attempt_id = ours.attempt_id
        message.payment_intent_id = ours.payment_intent_id
        message.our_amount_minor = ours.amount_minor
        message.ours.CopyFrom(_our_side(ours))
    if theirs is not None:
        message.clearing_line = f"{theirs.file}:{theirs.line}"
        if theirs.amount_minor <= INT32_MAX:
            message.their_amount_minor = theirs.amount_minor
        message.theirs.CopyFrom(_their_side(theirs))
    if resolution is not None:
        message.resolution.resolved_by = resolution.resolved_by
        message.resolution.reason = resolution.reason
        message.resolution.created = int(resolution.at.timestamp())
    return message


def file_message(file: ClearingFile) -> recon_pb2.ClearingFile:
    """Return what became of a file."""
    message = recon_pb2.ClearingFile(
        name=file.name,
        network=file.network,
        file_id=file.file_id,
        business_date=file.business_date.isoformat() if file.business_date else None,
        status=str(file.status),
        lines=file.lines,
        rejected=file.rejected,
        created=int(file.created.timestamp()),
    )
    if file.refusal is not None:
        message.refusal.field = file.refusal.field
        message.refusal.reason = file.refusal.reason
        if file.refusal.record is not None:
            message.refusal.record = file.refusal.record
    return message


def report_message(report: DailyReport) -> recon_pb2.GetDailyReportResponse:
    """Return the report of a day."""
    return recon_pb2.GetDailyReportResponse(
        business_date=report.business_date.isoformat(),
        files=[
            recon_pb2.NetworkFiles(
                network=row.network,
                taken=row.taken,
                refused=row.refused,
                rejected_records=row.rejected_records,
            )
            for row in report.files
        ],
        rows=[_row(row) for row in report.rows],
    )


def _row(row: ReportRow) -> recon_pb2.ReportRow:
    return recon_pb2.ReportRow(
        network=row.network,
        currency=row.currency,
        declared=_sum(row.declared),
        matched=_sum(row.matched),
        waiting=_sum(row.waiting),
        rejected=_sum(row.rejected),
        breaks=[_break_sum(part) for part in row.breaks],
    )


def _break_sum(part: BreakSum) -> recon_pb2.BreakSum:
    return recon_pb2.BreakSum(
        kind=str(part.kind),
        count=part.count,
        open_count=part.open_count,
        theirs=_sum(part.theirs),
        ours_minor=part.ours_minor,
    )


def _sum(of: Sum) -> recon_pb2.LineSum:
    return recon_pb2.LineSum(lines=of.lines, amount_minor=of.amount_minor)


def _age_s(shown: Break, now: datetime) -> int:
    end = shown.resolution.at if shown.resolution is not None else now
    return max(0, int((end - shown.created).total_seconds()))


def _our_side(ours: OurSide) -> recon_pb2.OurSide:
    return recon_pb2.OurSide(
        merchant_id=ours.merchant_id,
        payment_intent_id=ours.payment_intent_id,
        attempt_id=ours.attempt_id,
        amount_minor=ours.amount_minor,
        currency=ours.currency,
        status=ours.status,
        reversal=ours.reversal,
        response_code=ours.response_code,
        approval_code=ours.approval_code,
        network_trace_id=ours.network_trace_id,
        stan=ours.stan,
        rrn=ours.rrn,
        created=int(ours.created.timestamp()),
    )


def _their_side(theirs: TheirSide) -> recon_pb2.TheirSide:
    return recon_pb2.TheirSide(
        file=theirs.file,
        line=theirs.line,
        amount_minor=theirs.amount_minor,
        currency=theirs.currency,
        network_trace_id=theirs.network_trace_id,
        arn=theirs.arn,
        rrn=theirs.rrn,
        stan=theirs.stan,
        approval_code=theirs.approval_code,
        local_date=theirs.local_date.isoformat(),
    )
