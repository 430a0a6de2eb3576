"""What the history of each payment tells of its rows, beside the rows themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from paymesh.audit.v1 import audit_service_pb2 as audit_pb2
from paymesh.audit.v1 import audit_service_pb2_grpc as audit_grpc

from sandbox.operator_access import operator_channel
from tests.faults.evidence import Kept
from tests.faults.mesh import Mesh
from tests.rows import as_in_database

ANSWER_S_MAX = 60
AT_ONCE = 4
TABLES = {  # by service and table: the column with the payment
    ("intent", "payment_intents"): "id",
    ("txn", "transactions"): "payment_intent_id",
    ("txn", "attempts"): "payment_intent_id",
    ("recon", "breaks"): "payment_intent_id",
}
CHANGED_US = """
(extract(epoch from pg_xact_commit_timestamp(t.xmin)) * 1000000)::bigint as changed_us
"""
Row = dict[str, Any]
Key = tuple[str, str, str]  # service, table, id


def stories(mesh: Mesh, payments: Iterable[str]) -> list[Kept]:
    """Return each row of these payments as it is kept and as audit_svc tells of it."""
    kept = _kept(mesh)
    told = asyncio.run(_told(mesh, payments))
    found = []
    for key in sorted({*kept, *told}):
        service, table, row_id = key
        row, changed_us = kept.get(key, (None, None))
        values, gap, is_reread = told.get(key, (None, None, False))
        if values is not None and row is not None:
            values = as_in_database(values, row)
        found.append(
            Kept(f"{service}.{table}", row_id, row, values, gap, is_reread, changed_us),
        )
    return found


def _kept(mesh: Mesh) -> dict[Key, tuple[Row, int | None]]:
    found = {}
    for (service, table), column in TABLES.items():
        sql = f"select t.*, {CHANGED_US} from {table} t where {column} is not null"  # noqa: S608 those above
        for row in mesh.query(service, sql):
            changed_us = row.pop("changed_us")
            found[service, table, str(row["id"])] = (row, changed_us)
    return found


async def _told(
    mesh: Mesh, payments: Iterable[str]
) -> dict[Key, tuple[Row | None, str | None, bool]]:
    status = mesh.status()
    turn = asyncio.Semaphore(AT_ONCE)
    async with operator_channel(mesh.state.tls, status["audit"]) as channel:
        stub: Any = audit_grpc.AuditServiceStub(channel)

        async def ask(payment: str) -> Any:
            request = audit_pb2.GetPaymentHistoryRequest(payment_intent_id=payment)
            async with turn:
                return await stub.GetPaymentHistory(request, timeout=ANSWER_S_MAX)

        answers = await asyncio.gather(*map(ask, payments))
    return {
        (row.service, row.table, row.row_id): (
            json.loads(row.values) if row.HasField("values") else None,
            row.gap if row.HasField("gap") else None,
            row.HasField("reread"),
        )
        for answer in answers
        for row in answer.rows
    }
