"""Looks at breaks and decides on them, as the platform team would."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from paymesh.recon.v1 import reconciliation_service_pb2 as recon_pb2
from paymesh.recon.v1 import reconciliation_service_pb2_grpc as recon_grpc

from sandbox.operator_access import operator_stub
from sandbox.state import StateDir

PAGE = 1000
TIMEOUT_S = 600  # a large file takes minutes


async def import_files(state: StateDir, status: dict[str, Any]) -> list[dict[str, Any]]:
    """Let the new clearing files be taken now; return what became of them."""
    async with _service(state, status) as stub:
        done = await stub.ImportClearingFiles(
            recon_pb2.ImportClearingFilesRequest(), timeout=TIMEOUT_S
        )
        return [_shown(file) for file in done.files]


async def list_breaks(
    state: StateDir, status: dict[str, Any], asked: recon_pb2.ListBreaksRequest
) -> list[dict[str, Any]]:
    """Return every break that is asked for, oldest first, whatever the page of `asked`."""
    found: list[dict[str, Any]] = []
    async with _service(state, status) as stub:
        while True:
            asked.limit, asked.starting_after = PAGE, found[-1]["id"] if found else ""
            page = await stub.ListBreaks(asked, timeout=TIMEOUT_S)
            found += [_shown(one) for one in page.breaks]
            if not page.has_more:
                return found


async def assign_break(
    state: StateDir, status: dict[str, Any], break_id: str, owner: str
) -> dict[str, Any]:
    """Give a break to a person."""
    async with _service(state, status) as stub:
        request = recon_pb2.AssignBreakRequest(break_id=break_id, owner=owner)
        return _shown((await stub.AssignBreak(request, timeout=TIMEOUT_S)).assigned_break)


async def resolve_break(
    state: StateDir, status: dict[str, Any], break_id: str, by: str, reason: str
) -> dict[str, Any]:
    """Close a break."""
    async with _service(state, status) as stub:
        request = recon_pb2.ResolveBreakRequest(break_id=break_id, resolved_by=by, reason=reason)
        return _shown((await stub.ResolveBreak(request, timeout=TIMEOUT_S)).resolved_break)


async def daily_report(
    state: StateDir, status: dict[str, Any], business_date: str
) -> dict[str, Any]:
    """Return the report of a business date; of the newest when empty."""
    async with _service(state, status) as stub:
        request = recon_pb2.GetDailyReportRequest(business_date=business_date)
        return _shown(await stub.GetDailyReport(request, timeout=TIMEOUT_S))


def _service(state: StateDir, status: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    return operator_stub(state.tls, status["recon"], recon_grpc.ReconciliationServiceStub)


def _shown(message: Message) -> dict[str, Any]:
    """Return a message as JSON has it; sums beyond 32 bits are numbers too."""
    shown: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    numbered: dict[str, Any] = _with_numbers(shown)
    return numbered


def _with_numbers(shown: Any) -> Any:
    if isinstance(shown, dict):
        return {
            name: int(value) if name.endswith("Minor") else _with_numbers(value)
            for name, value in shown.items()
        }
    return [_with_numbers(value) for value in shown] if isinstance(shown, list) else shown
