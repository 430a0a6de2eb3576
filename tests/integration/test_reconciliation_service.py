"""ReconciliationService as operators call it: over mutual TLS, on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from paymesh.recon.v1 import reconciliation_service_pb2 as recon_pb2
from paymesh.recon.v1 import reconciliation_service_pb2_grpc as recon_grpc

from chassis.database import Database
from chassis.errors import from_rpc_error
from chassis.identity import server_credentials
from chassis.server import build_server
from recon_svc.__main__ import services
from recon_svc.domain.breaks import PROPOSED_ACTIONS, BreakFilter, BreakKind, BreakStatus
from recon_svc.domain.resolution import AttemptStatus
from recon_svc.service import ReconciliationService
from recon_svc.store.breaks import BreakStore, listing
from sandbox.networks.cards import Clearing
from tests.integration.clearing_parts import NAME, ClearingProcess, a_process, an_attempt
from tests.integration.owner import as_owner
from tests.integration.settings import settings_of
from tests.unit.clearing.files import DAY, IPM, TC33

pytestmark = pytest.mark.integration

KINDS = recon_pb2.BreakKindEnum
STATUSES = recon_pb2.BreakStatusEnum
MANY = """
insert into breaks (id, kind, subject, network, business_date, owner, created, resolved_by,
    resolution_reason, resolved_at)
select 'brk_' || n, case n %% 100 when 0 then 'late_file' else 'amount_over' end, n, 'visa_sim',
    date '2026-11-26' - n / 100, case n %% 1000 when 1 then 'ana' end, now() - n * interval '1 min',
    case n %% 50 when 0 then null else 'ana' end, case n %% 50 when 0 then null else 'So.' end,
    case n %% 50 when 0 then null else now() end
from generate_series(1, 20000) n
"""


@pytest.fixture
async def process(recon_database: Database, tmp_path: Path) -> AsyncIterator[ClearingProcess]:
    async with a_process(recon_database, tmp_path / "inbox") as running:
        yield running


@asynccontextmanager
async def _called_by(name: str, process: ClearingProcess, tls: Path) -> AsyncIterator[Any]:
    """Serve as recon_svc does, and lend what a caller of this name calls by."""
    settings = settings_of("recon", tls)
    servicer = ReconciliationService(process.breaks, process.clearing, process.clock)
    server, _ = build_server(settings, services(servicer))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(settings))
    await server.start()
    credentials = grpc.ssl_channel_credentials(
        (tls / "ca.crt").read_bytes(),
        (tls / f"{name}.key").read_bytes(),
        (tls / f"{name}.crt").read_bytes(),
    )
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        yield recon_grpc.ReconciliationServiceStub(channel)
    await server.stop(None)


@pytest.fixture
async def service(process: ClearingProcess, tls: Path) -> AsyncIterator[Any]:
    async with _called_by("operator", process, tls) as stub:
        yield stub


async def _with_breaks(process: ClearingProcess) -> None:
    """Have an over, a duplicate and a presentment of what failed, on two networks."""
    await process.attempts.take(
        [
            an_attempt(1, amount_minor=1000),
            an_attempt(2, TC33),
            an_attempt(3, TC33, status=AttemptStatus.FAILED, response_code="05"),
        ]
    )
    process.put_file(IPM, 1)
    await process.clearing.run()
    process.clock.move(1)
    process.put_file(TC33, 2, clearing=Clearing.TWICE)
    process.put_file(TC33, 3, file_number=2)
    await process.clearing.run()


async def test_a_break_shows_both_sides_and_what_to_do(
    process: ClearingProcess, service: Any
) -> None:
    await _with_breaks(process)
    process.clock.move(99)

    listed = await service.ListBreaks(recon_pb2.ListBreaksRequest(limit=1))

    [over] = listed.breaks
    assert listed.has_more
    assert over.id.startswith("brk_2b")
    assert (over.kind, over.network, over.currency) == (KINDS.amount_over, IPM, "usd")
    assert (over.attempt_id, over.payment_intent_id) == ("att_1", "pi_1")
    assert over.clearing_line == f"{NAME}:2"
    assert (over.our_amount_minor, over.their_amount_minor) == (1000, 1099)
    assert (over.age_in_seconds, over.business_date) == (100, DAY.isoformat())
    assert over.proposed_action == PROPOSED_ACTIONS[BreakKind.AMOUNT_OVER]
    assert (over.ours.rrn, over.ours.status) == ("RRN000000001", "succeeded")
    assert (over.theirs.rrn, over.theirs.amount_minor) == ("RRN000000001", 1099)
    assert len(over.theirs.arn) == 23
    assert not over.HasField("owner")
    assert not over.HasField("resolution")


async def test_breaks_are_listed_by_filter_and_page(process: ClearingProcess, service: Any) -> None:
    await _with_breaks(process)

    async def kinds(**asked: Any) -> list[int]:
        page = await service.ListBreaks(recon_pb2.ListBreaksRequest(**asked))
        return sorted(one.kind for one in page.breaks)

    every = await service.ListBreaks(recon_pb2.ListBreaksRequest())
    pages, after = [], ""
    for _ in every.breaks:
        page = await service.ListBreaks(recon_pb2.ListBreaksRequest(limit=1, starting_after=after))
        pages += page.breaks
        after = pages[-1].id
        if not page.has_more:
            break

    assert [one.id for one in pages] == [one.id for one in every.breaks]
    assert not every.has_more
    assert await kinds(network=IPM) == [KINDS.amount_over]
    assert await kinds(kind=KINDS.duplicate_line) == [KINDS.duplicate_line]
    assert await kinds(kind=KINDS.late_file) == []
    assert await kinds() == [
        *(KINDS.amount_over, KINDS.duplicate_line, KINDS.presentment_without_authorization)
    ]


async def test_a_break_is_given_to_a_person_and_resolved_once(
    process: ClearingProcess, service: Any
) -> None:
    await _with_breaks(process)
    [over] = (await service.ListBreaks(recon_pb2.ListBreaksRequest(limit=1))).breaks
    request = recon_pb2.ResolveBreakRequest(
        break_id=over.id, resolved_by="ana", reason="The network credited the difference."
    )

    assigned = await service.AssignBreak(
        recon_pb2.AssignBreakRequest(break_id=over.id, owner="ana")
    )
    process.clock.move(60)
    resolved = await service.ResolveBreak(request)
    left = await service.ListBreaks(recon_pb2.ListBreaksRequest())
    every = await service.ListBreaks(recon_pb2.ListBreaksRequest(include_resolved=True))

    assert assigned.assigned_break.owner == "ana"
    resolution = resolved.resolved_break.resolution
    assert (resolution.resolved_by, resolution.reason) == ("ana", request.reason)
    assert resolution.created == int(process.clock.now().timestamp())
    assert over.id not in {one.id for one in left.breaks}
    assert len(every.breaks) == len(left.breaks) + 1
    assert await _reason(service.ResolveBreak(request)) == "BREAK_ALREADY_RESOLVED"
    again = recon_pb2.AssignBreakRequest(break_id=over.id, owner="bo")
    assert await _reason(service.AssignBreak(again)) == "BREAK_ALREADY_RESOLVED"


async def test_breaks_are_listed_by_status_owner_and_business_date(
    process: ClearingProcess, service: Any
) -> None:
    await _with_breaks(process)
    over, duplicate, other = (await service.ListBreaks(recon_pb2.ListBreaksRequest())).breaks
    await service.AssignBreak(recon_pb2.AssignBreakRequest(break_id=over.id, owner="ana"))
    await service.AssignBreak(recon_pb2.AssignBreakRequest(break_id=other.id, owner="bo"))
    request = recon_pb2.ResolveBreakRequest(break_id=over.id, resolved_by="ana", reason="Credited.")
    await service.ResolveBreak(request)
    await process.database.fetch(
        "update breaks set business_date = '2026-11-20' where id = %(id)s", id=other.id
    )

    async def ids(**asked: Any) -> set[str]:
        page = await service.ListBreaks(recon_pb2.ListBreaksRequest(**asked))
        return {one.id for one in page.breaks}

    day = DAY.isoformat()
    assert await ids(status=STATUSES.open) == {duplicate.id, other.id}
    assert await ids(status=STATUSES.resolved) == {over.id}
    assert await ids(owner="ana") == set()
    assert await ids(owner="ana", include_resolved=True) == {over.id}
    assert await ids(owner="bo", status=STATUSES.open) == {other.id}
    assert await ids(business_date_from=day) == {duplicate.id}
    assert await ids(business_date_to="2026-11-20") == {other.id}
    assert await ids(business_date_to="2026-11-19") == set()
    both = {"business_date_from": "2026-11-20", "business_date_to": day}
    assert await ids(**both, include_resolved=True) == {over.id, duplicate.id, other.id}
    assert await ids(starting_after=over.id, owner="bo") == {other.id}


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (BreakFilter(), "breaks_created_id_idx1"),
        (BreakFilter(status=None), "breaks_created_id_idx"),
        (BreakFilter(owner="ana"), "breaks_owner_created_id_idx"),
        (BreakFilter(owner="ana", status=BreakStatus.RESOLVED), "breaks_owner_created_id_idx"),
        (
            BreakFilter(business_date_from=DAY, business_date_to=DAY, status=None),
            "breaks_business_date_network_idx",
        ),
        (BreakFilter(kind=BreakKind.LATE_FILE), "breaks_created_id_idx1"),
    ],
)
async def test_of_many_breaks_a_page_is_found_by_an_index(
    process: ClearingProcess, asked: BreakFilter, index: str
) -> None:
    await process.database.fetch(MANY)
    await as_owner(process.database, "analyze breaks")

    sql, wanted = listing(asked)
    plan = await process.database.fetch(f"explain {sql}", **wanted)

    lines = [line["QUERY PLAN"] for line in plan]
    assert any(re.search(rf" (using|on) {index}\b", line) for line in lines), "\n".join(lines)


async def test_open_breaks_are_counted_by_kind_with_the_time_of_the_oldest(
    process: ClearingProcess,
) -> None:
    await process.database.fetch(MANY)
    oldest = {
        row["kind"]: row["created"]
        for row in await process.database.fetch(
            "select kind, created from breaks where subject in ('20000', '19950')"
        )
    }

    found = await BreakStore(process.database).open()

    assert found == {
        BreakKind.LATE_FILE: (200, oldest["late_file"]),
        BreakKind.AMOUNT_OVER: (200, oldest["amount_over"]),
    }


REFUSALS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "limit of 0": (
        lambda stub: stub.ListBreaks(recon_pb2.ListBreaksRequest(limit=0)),
        "PARAMETER_INVALID",
    ),
    "limit over 1000": (
        lambda stub: stub.ListBreaks(recon_pb2.ListBreaksRequest(limit=1001)),
        "PARAMETER_INVALID",
    ),
    "unknown cursor": (
        lambda stub: stub.ListBreaks(recon_pb2.ListBreaksRequest(starting_after="brk_x")),
        "RESOURCE_MISSING",
    ),
    "unknown break to assign": (
        lambda stub: stub.AssignBreak(recon_pb2.AssignBreakRequest(break_id="brk_x", owner="ana")),
        "RESOURCE_MISSING",
    ),
    "unknown break to resolve": (
        lambda stub: stub.ResolveBreak(
            recon_pb2.ResolveBreakRequest(break_id="brk_x", resolved_by="ana", reason="So.")
        ),
        "RESOURCE_MISSING",
    ),
    "no reason": (
        lambda stub: stub.ResolveBreak(
            recon_pb2.ResolveBreakRequest(break_id="brk_x", resolved_by="ana")
        ),
        "PARAMETER_MISSING",
    ),
    "no one": (
        lambda stub: stub.ResolveBreak(
            recon_pb2.ResolveBreakRequest(break_id="brk_x", reason="So.")
        ),
        "PARAMETER_MISSING",
    ),
    "not a date": (
        lambda stub: stub.GetDailyReport(
            recon_pb2.GetDailyReportRequest(business_date="26.11.2026")
        ),
        "PARAMETER_INVALID",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_cant_be_done_is_refused_by_reason(service: Any, name: str) -> None:
    call, reason = REFUSALS[name]

    assert await _reason(call(service)) == reason


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"kind": 99}, "kind"),
        ({"status": 99}, "status"),
        ({"status": 1, "include_resolved": True}, "include_resolved"),
        ({"owner": "a" * 1001}, "owner"),
        ({"owner": "a\0"}, "owner"),
        ({"network": "v\0"}, "network"),
        ({"starting_after": "brk_\0"}, "starting_after"),
        ({"limit": 0}, "limit"),
        ({"business_date_from": "26.11.2026"}, "business_date_from"),
        ({"business_date_from": "20261126"}, "business_date_from"),
        ({"business_date_to": "2026-11-31"}, "business_date_to"),
        (
            {"business_date_from": "2026-11-26", "business_date_to": "2026-11-25"},
            "business_date_to",
        ),
    ],
)
async def test_a_filter_that_can_t_be_is_refused_by_its_name(
    service: Any, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await service.ListBreaks(recon_pb2.ListBreaksRequest(**asked))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert from_rpc_error(refused.value).param == param


async def test_files_are_imported_on_request(process: ClearingProcess, service: Any) -> None:
    await process.attempts.take([an_attempt(1)])
    process.put_file(IPM, 1)
    process.put("visa_sim-20261126-001.tc33", b"33 0")

    done = await service.ImportClearingFiles(recon_pb2.ImportClearingFilesRequest())

    files = {file.name: file for file in done.files}
    statuses = recon_pb2.ClearingFileStatusEnum
    assert (files[NAME].status, files[NAME].lines) == (statuses.taken, 1)
    refused = files["visa_sim-20261126-001.tc33"]
    assert refused.status == statuses.refused
    assert (refused.refusal.field, refused.refusal.record) == ("record", 1)
    assert not refused.HasField("file_id")


async def test_the_report_is_that_of_the_newest_file_unless_asked(
    process: ClearingProcess, service: Any
) -> None:
    await _with_breaks(process)

    newest = await service.GetDailyReport(recon_pb2.GetDailyReportRequest())
    other = await service.GetDailyReport(
        recon_pb2.GetDailyReportRequest(business_date="2026-11-25")
    )

    assert newest.business_date == DAY.isoformat()
    assert [row.network for row in newest.rows] == [IPM, TC33]
    assert [row.declared.amount_minor for row in newest.rows] == [1099, 3297]
    assert (other.business_date, list(other.rows)) == ("2026-11-25", [])


@pytest.mark.parametrize("name", ["txn", "intent", "edge", "recon"])
async def test_only_operators_may_call(process: ClearingProcess, tls: Path, name: str) -> None:
    async with _called_by(name, process, tls) as stub:
        call = stub.ListBreaks(recon_pb2.ListBreaksRequest())
        assert await _reason(call) == "CALLER_NOT_ALLOWED"


async def _reason(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value).reason
