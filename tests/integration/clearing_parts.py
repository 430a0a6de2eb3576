"""The parts of recon_svc that take clearing files, as one process holds them, and its neighbour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from paymesh.txn.v1 import attempt_service_pb2 as attempt_pb2
from paymesh.txn.v1 import attempt_service_pb2_grpc as attempt_grpc

from chassis.database import Database
from chassis.ids import AttemptId, MerchantId, PaymentIntentId, TransactionId
from chassis.networks import ClearingRule, InquiryRule, NetworkRules, ReversalRule
from recon_svc.clearing.inbox import Inbox
from recon_svc.clients import AttemptClient
from recon_svc.domain.report import DailyReport
from recon_svc.domain.resolution import Attempt, AttemptStatus
from recon_svc.handlers.breaks import BreakHandlers
from recon_svc.handlers.clearing import ClearingHandlers
from recon_svc.store.attempts import AttemptStore
from recon_svc.store.breaks import BreakStore
from recon_svc.store.clearing import ClearingStore
from recon_svc.store.finding import FindingStore
from recon_svc.store.judging import JudgingStore
from recon_svc.store.report import ReportStore
from tests.fakes import FakeClock
from tests.integration.owner import as_owner
from tests.unit.clearing.files import DAY, IPM, TC33, a_file, a_row

MERCHANT = MerchantId("mer_2b0000000000000000000000000")
AUTHORIZED = int(datetime(2026, 11, 26, 10, 15, tzinfo=UTC).timestamp())
CUT_OFF = "22:00"
LATE_AFTER_H = 4
EVENING = datetime(2026, 11, 26, 23, 0, tzinfo=UTC)  # after the cut-off, not late yet
LATE = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
NAME = "mastercard_sim-20261126-001.ipm"
SUFFIXES = {IPM: "ipm", TC33: "tc33"}
REVERSAL = ReversalRule(repeat_s=(1,), then_every_s=60)
CLEARING = ClearingRule(cut_off=CUT_OFF, late_after_h=LATE_AFTER_H)
RULES = {
    TC33: NetworkRules(timeout_s=2, reversal=REVERSAL, clearing=CLEARING, capture_deadline_h=168),
    IPM: NetworkRules(
        timeout_s=2,
        reversal=REVERSAL,
        clearing=CLEARING,
        capture_deadline_h=168,
        inquiry=InquiryRule(backoff_s=(1,), not_found_is_failed_after_s=5),
    ),
}

VERDICTS = """
select f.name || ':' || l.number as line, l.verdict from clearing_lines l
join clearing_files f on f.id = l.file order by 1
"""
FOUND = "select kind, attempt_id, line, resolved_by from breaks order by kind, attempt_id, line"
ROWS = """
select (select count(*) from clearing_lines) as lines,
    (select count(*) from clearing_rejects) as rejects,
    (select count(*) from clearing_totals) as totals,
    (select count(*) from breaks) as breaks,
    (select count(*) from clearing_files where status <> 'refused') as files
"""

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass
class FakeAttempts(attempt_grpc.AttemptServiceServicer):
    """txn_svc as recon_svc meets it: settles what it is told, or refuses."""

    refuses: bool = False
    settled: list[attempt_pb2.ResolveAttemptRequest] = field(default_factory=list)

    async def ResolveAttempt(  # noqa: N802 the contract's name
        self, request: attempt_pb2.ResolveAttemptRequest, context: Context
    ) -> attempt_pb2.ResolveAttemptResponse:
        """Settle an attempt."""
        if self.refuses:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.settled.append(request)
        return attempt_pb2.ResolveAttemptResponse()

    async def InquireAttempt(  # noqa: N802 the contract's name
        self, request: attempt_pb2.InquireAttemptRequest, context: Context
    ) -> attempt_pb2.InquireAttemptResponse:
        """Never be asked: a file needs no inquiry."""
        raise NotImplementedError

    async def ReverseAttempt(  # noqa: N802 the contract's name
        self, request: attempt_pb2.ReverseAttemptRequest, context: Context
    ) -> attempt_pb2.ReverseAttemptResponse:
        """Never be asked: what is presented is not undone."""
        raise NotImplementedError

    async def CountAttempts(  # noqa: N802 the contract's name
        self, request: attempt_pb2.CountAttemptsRequest, context: Context
    ) -> attempt_pb2.CountAttemptsResponse:
        """Never be asked: events are not counted here."""
        raise NotImplementedError

    @asynccontextmanager
    async def served(self) -> AsyncIterator[AttemptClient]:
        """Serve on any port, and lend a client of it."""
        server = grpc.aio.server()
        attempt_grpc.add_AttemptServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield AttemptClient(channel)
        await server.stop(None)


class ClearingProcess:
    """One process of recon_svc on a database, with a folder as its inbox."""

    def __init__(self, database: Database, inbox: Path, client: AttemptClient) -> None:
        self.database = database
        self.inbox = inbox
        self.client = client
        self.clock = FakeClock(EVENING)
        self.attempts = AttemptStore(database)
        self.reports = ReportStore(database)
        self.breaks = BreakHandlers(BreakStore(database), self.reports, self.clock)
        self.clearing = self.taking_from(Inbox(inbox.as_uri()))

    def taking_from(self, inbox: Inbox) -> ClearingHandlers:
        """Return what takes the files of an inbox."""
        stores = (
            ClearingStore(self.database),
            JudgingStore(self.database),
            FindingStore(self.database),
        )
        return ClearingHandlers(inbox, stores, self.client, RULES, self.clock)

    def again(self) -> ClearingProcess:
        """Return a process that begins anew where this one was."""
        return ClearingProcess(self.database, self.inbox, self.client)

    def put(self, name: str, raw: bytes) -> None:
        """Put a file into the inbox."""
        (self.inbox / name).write_bytes(raw)

    def put_file(self, network: str, *numbers: int, file_number: int = 1, **row: Any) -> str:
        """Let a network write a file that presents these exchanges; return its name."""
        name = f"{network}-{DAY:%Y%m%d}-{file_number:03d}.{SUFFIXES[network]}"
        rows = [a_row(number, **row) for number in numbers]
        self.put(name, a_file(network, rows, file_number))
        return name

    async def verdicts(self) -> list[str]:
        """Return what each line came to, in order."""
        return [row["verdict"] for row in await self.database.fetch(VERDICTS)]

    async def found(self, *, ended: bool = False) -> list[tuple[str, str | None]]:
        """Return kind and attempt of the breaks that are open, or that ended by themselves."""
        rows = await self.database.fetch(FOUND)
        by = "paymesh" if ended else None
        return [(row["kind"], row["attempt_id"]) for row in rows if row["resolved_by"] == by]

    async def rows(self) -> dict[str, int]:
        """Return how much was written."""
        [row] = await as_owner(self.database, ROWS)
        return dict(row)

    async def report(self) -> DailyReport:
        """Return the report of the files' day."""
        return await self.reports.report(DAY)


def an_attempt(number: int, network: str = IPM, **changes: Any) -> Attempt:
    """Return the attempt that `a_row` of this number presents; it succeeded."""
    attempt = Attempt(
        id=AttemptId(f"att_{number}"),
        merchant_id=MERCHANT,
        mode="test",
        payment_intent_id=PaymentIntentId(f"pi_{number}"),
        transaction_id=TransactionId(f"txn_{number}"),
        network=network,
        status=AttemptStatus.SUCCEEDED,
        amount_minor=1099,
        currency="usd",
        stan=f"{number:06d}",
        rrn=f"RRN{number:09d}",
        transmitted_at="1126101500",
        deadline=AUTHORIZED + 2,
        created=AUTHORIZED,
        version=2,
        response_code="00",
        approval_code=f"{number:06d}",
        network_trace_id=f"TRRN{number:09d}",
    )
    return replace(attempt, **changes)


def without_answer(number: int, network: str = IPM, **changes: Any) -> Attempt:
    """Return an attempt about which the network said nothing."""
    unsaid = {
        "status": AttemptStatus.TIMEOUT,
        "response_code": None,
        "approval_code": None,
        "network_trace_id": None,
    }
    return an_attempt(number, network, **(unsaid | changes))


@asynccontextmanager
async def a_process(
    database: Database, inbox: Path, attempts: FakeAttempts | None = None
) -> AsyncIterator[ClearingProcess]:
    """Return a process whose inbox is a new folder."""
    await asyncio.to_thread(inbox.mkdir)
    async with (attempts or FakeAttempts()).served() as client:
        yield ClearingProcess(database, inbox, client)
