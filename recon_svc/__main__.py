"""Starts recon_svc."""

from __future__ import annotations

from functools import partial

from paymesh.recon.v1 import reconciliation_service_pb2_grpc as recon_grpc

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.consumer import Consumer
from chassis.database import connect
from chassis.heartbeat import heartbeat
from chassis.identity import channel
from chassis.networks import read_network_rules
from chassis.schema import require_schema
from chassis.server import Service, only, run, serve
from chassis.slots import slot_watch
from recon_svc.clearing.inbox import Inbox
from recon_svc.clients import AttemptClient
from recon_svc.config import ReconSettings
from recon_svc.consumer import GROUP, TOPICS, AttemptConsumer
from recon_svc.dispatcher.clearing import ClearingDispatcher
from recon_svc.dispatcher.resolution import ResolutionDispatcher
from recon_svc.handlers.breaks import BreakHandlers
from recon_svc.handlers.clearing import ClearingHandlers
from recon_svc.handlers.resolution import ArrivalHandlers, ResolutionHandlers
from recon_svc.service import ReconciliationService
from recon_svc.store.attempts import AttemptStore
from recon_svc.store.breaks import BreakStore
from recon_svc.store.clearing import ClearingStore
from recon_svc.store.finding import FindingStore
from recon_svc.store.judging import JudgingStore
from recon_svc.store.report import ReportStore


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(ReconSettings)
    telemetry.configure(settings)
    clock = SystemClock()
    database = await connect(settings)
    await require_schema(database, "recon_svc")
    attempts, breaks = AttemptStore(database), BreakStore(database)
    rules = read_network_rules(settings.networks_file)
    async with channel(settings, settings.txn_address) as txn_channel:
        client = AttemptClient(txn_channel)
        handlers = ResolutionHandlers(attempts, client, rules, clock)
        arrivals = ArrivalHandlers(attempts, client, clock, settings.event_late_s)
        clearing = ClearingHandlers(
            Inbox(settings.inbox_url),
            (ClearingStore(database), JudgingStore(database), FindingStore(database)),
            client,
            rules,
            clock,
        )
        service = ReconciliationService(
            BreakHandlers(breaks, ReportStore(database), clock), clearing, clock
        )
        await serve(
            settings,
            services(service),
            [
                heartbeat(database),
                slot_watch(database, settings.service_name),
                ResolutionDispatcher(handlers, arrivals, attempts, clock),
                ClearingDispatcher(clearing, breaks, clock),
                Consumer(settings, GROUP, TOPICS, AttemptConsumer(attempts).handle),
            ],
        )
    await database.close()


def services(reconciliation: ReconciliationService) -> list[Service]:
    return [
        Service(
            "paymesh.recon.v1.ReconciliationService",
            partial(recon_grpc.add_ReconciliationServiceServicer_to_server, reconciliation),
            only(
                "operator",
                *("ListBreaks", "AssignBreak", "ResolveBreak"),
                *("ImportClearingFiles", "GetDailyReport"),
            ),
        )
    ]


if __name__ == "__main__":
    run(main())
