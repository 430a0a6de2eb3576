"""Stories and verdicts as messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from paymesh.audit.v1 import audit_service_pb2 as audit_pb2

from audit_svc.domain.record import RowChange
from audit_svc.domain.story import FieldChange, Row, Step, Story
from audit_svc.domain.verdict import Verdict

ACTIONS = {"c": "created", "u": "updated", "d": "deleted", "r": "found"}
READ = "r"


def history_message(story: Story) -> audit_pb2.GetPaymentHistoryResponse:
    """Return a payment's story."""
    return audit_pb2.GetPaymentHistoryResponse(
        changes=[_change(step) for step in story.steps], rows=[_row(row) for row in story.rows]
    )


def rows_message(rows: Sequence[Row]) -> audit_pb2.ListPaymentRowsResponse:
    """Return rows of payments."""
    return audit_pb2.ListPaymentRowsResponse(rows=[_row(row) for row in rows])


def verdict_message(verdict: Verdict) -> audit_pb2.VerifyArchiveResponse:
    """Return what a verification found."""
    return audit_pb2.VerifyArchiveResponse(
        partitions=verdict.partitions,
        files=verdict.files,
        records=verdict.records,
        proved_until_ms=verdict.proved_until_ms,
        broken_links=[
            audit_pb2.BrokenLink(file=broken.file, reason=broken.reason)
            for broken in verdict.breaks
        ],
    )


def _change(step: Step) -> audit_pb2.RowChange:
    change = step.change
    is_read = change.op == READ  # in no transaction: Debezium tells the one that it saw last
    return audit_pb2.RowChange(
        service=step.service,
        table=change.table,
        row_id=step.row_id,
        action=_action(change),
        committed_us=change.committed_us,
        transaction_id=None if is_read else change.tx_id,
        log_position=None if is_read else change.lsn,
        fields=[_field(step, field) for field in step.fields],
        topic=step.place.topic,
        partition=step.place.partition,
        offset=step.offset,
        is_archived=step.is_archived,
    )


def _action(change: RowChange) -> str:
    if change.is_purge:
        return "purged"
    return "reread" if change.is_reread else ACTIONS.get(change.op, change.op)


def _field(step: Step, field: FieldChange) -> audit_pb2.FieldChange:
    return audit_pb2.FieldChange(
        name=field.name,
        before=None if step.change.before is None else _json(field.before),
        after=None if step.change.after is None else _json(field.after),
    )


def _row(row: Row) -> audit_pb2.RebuiltRow:
    return audit_pb2.RebuiltRow(
        service=row.service,
        table=row.table,
        row_id=row.row_id,
        values=None if row.values is None else _json(row.values),
        gap=row.gap,
        reread=row.reread,
        is_purged=row.is_purged,
        is_archived=row.is_archived,
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
