"""Workers of Kafka Connect over brokers of the tests' own, capturing one database."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from sandbox.platform.connectors import Connectors
from sandbox.platform.kafka import Connect
from sandbox.process import Process
from tests.integration.authz_client import free_port
from tests.integration.conftest import DatabaseServer
from tests.integration.kafka_parts import Broker

NUMBERS = count(1)


@dataclass(frozen=True)
class Worker:
    """A running worker. address: of its REST interface."""

    process: Process
    connectors: Connectors
    address: str

    async def kill(self) -> None:
        """End it at once, whatever it is doing, with nobody to start it again."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.stop()


@asynccontextmanager
async def a_worker(
    broker: Broker, postgres: DatabaseServer, database: str, resources: list[dict[str, Any]]
) -> AsyncIterator[Worker]:
    """Run a worker with these connectors, all of which capture this database."""
    port, metrics_port = free_port(), free_port()
    folder = broker.folder / f"connect-{next(NUMBERS)}"
    lib, plugins = broker.folder / "lib", broker.folder / "plugins"
    connect = Connect(
        *(folder, lib, plugins, port, broker.kafka),
        metrics_port=metrics_port,
        connectors=resources,
    )
    await asyncio.to_thread(connect.prepare)
    address = f"127.0.0.1:{port}"
    process = Process(connect.spec(), folder / "connect.log", lambda: None)
    await process.start()
    try:
        await process.healthy()
        settings = postgres.server.connector_settings() | {"database.dbname": database}
        await connect.create_connectors(settings)
        yield Worker(process, Connectors(address), address)
    finally:
        await process.stop()
