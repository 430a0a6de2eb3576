"""Starts recon_svc."""

from __future__ import annotations

from chassis import telemetry
from chassis.clock import SystemClock
from chassis.config import read_settings
from chassis.consumer import Consumer
from chassis.database import connect, migrate
from chassis.identity import channel
from chassis.networks import read_network_rules
from chassis.server import run, serve
from recon_svc.clients import AttemptClient
from recon_svc.config import ReconSettings
from recon_svc.consumer import GROUP, TOPICS, AttemptConsumer
from recon_svc.dispatcher import ResolutionDispatcher
from recon_svc.handlers import ArrivalHandlers, ResolutionHandlers
from recon_svc.store.attempts import AttemptStore


async def main() -> None:
    """Wire the parts and serve."""
    settings = read_settings(ReconSettings)
    telemetry.configure(settings)
    await migrate(settings, "recon_svc")
    clock = SystemClock()
    database = await connect(settings)
    store = AttemptStore(database)
    rules = read_network_rules(settings.networks_file)
    async with channel(settings, settings.txn_address) as txn_channel:
        client = AttemptClient(txn_channel)
        handlers = ResolutionHandlers(store, client, rules, clock)
        arrivals = ArrivalHandlers(store, client, clock, settings.event_late_s)
        await serve(
            settings,
            [],
            [
                ResolutionDispatcher(handlers, arrivals, store, clock),
                Consumer(settings, GROUP, TOPICS, AttemptConsumer(store).handle),
            ],
        )
    await database.close()


if __name__ == "__main__":
    run(main())
