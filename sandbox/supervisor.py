"""The process that owns a sandbox: starts every part, keeps it running, ends it with itself."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from sandbox.process import Process, Spec, created_at, end_leftovers
from sandbox.state import StateDir
from sandbox.topology import DATABASES, NETWORKS, SERVICES, Topology, topology

LOG = logging.getLogger("sandbox")


class Supervisor:
    """Brings a sandbox up and keeps its status file true."""

    def __init__(self, parts: Topology) -> None:
        self._parts = parts
        self._processes: list[Process] = []
        self._phase = "starting"
        self._step = "preparing"
        self._error: str | None = None

    async def run(self) -> None:
        """Bring everything up, and down again on SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and (error := starting.exception()) is not None:
            LOG.error("the sandbox did not start", exc_info=error)
            self._error = f"{type(error).__name__}: {error}"
        else:
            await stopping
        starting.cancel()
        self._set("stopping", "stopping")
        await self._stop()
        self._set("failed" if self._error else "stopped", "stopped")

    async def _start(self) -> None:
        self._step_to("fetching jars, writing certificates")
        await asyncio.to_thread(self._parts.prepare)
        self._step_to("starting PostgreSQL, Kafka and the card networks")
        postgres = await self._run(self._parts.postgres.spec())
        kafka = await self._run(self._parts.kafka.spec())
        for name in NETWORKS:
            await self._run(self._parts.network(name))
            if self._parts.has_proxies:
                await self._run(self._parts.proxy(name))
        await asyncio.gather(self._start_services(postgres), self._start_connect(kafka))
        self._step_to("configuring the connectors")
        await self._parts.connect.create_connectors(
            self._parts.ports["postgres"], self._parts.state.passwords()["debezium"]
        )
        await asyncio.gather(*(process.healthy() for process in self._processes))
        self._set("running", "everything is up")

    async def _start_services(self, postgres: Process) -> None:
        await postgres.healthy()
        await self._parts.postgres.create_databases(list(DATABASES.values()))
        self._step_to("starting the services and Envoy")
        services = [await self._run(self._parts.service(name)) for name in SERVICES]
        await self._run(self._parts.envoy())
        await asyncio.gather(*(service.healthy() for service in services))

    async def _start_connect(self, kafka: Process) -> None:
        await kafka.healthy()
        await self._parts.kafka.create_topics()
        connect = await self._run(self._parts.connect.spec())
        await connect.healthy()

    async def _run(self, spec: Spec) -> Process:
        log = self._parts.state.logs / f"{spec.name}.log"
        process = Process(spec, log, self._write)
        self._processes.append(process)
        await process.start()
        return process

    async def _stop(self) -> None:
        """End what merchants reach first, then what that stood on."""
        by_name = {process.spec.name: process for process in self._processes}
        for group in (
            ("envoy",),
            ("authz", "webhook_svc", "recon_svc"),
            ("txn_svc",),
            ("intent_svc", "connect", *(f"{name}_proxy" for name in NETWORKS), *NETWORKS),
            ("kafka", "postgres"),
        ):
            await asyncio.gather(*(by_name[name].stop() for name in group if name in by_name))

    def _step_to(self, step: str) -> None:
        self._set(self._phase, step)

    def _set(self, phase: str, step: str) -> None:
        self._phase, self._step = phase, step
        self._write()

    def _write(self) -> None:
        rows = [
            {
                "name": process.spec.name,
                "pid": process.pid,
                "health": process.health,
                "restarts": process.restarts,
                "created": created_at(process.pid) if process.pid else None,
                **({"metrics": process.spec.metrics} if process.spec.metrics else {}),
            }
            for process in self._processes
        ]
        own = {"pid": os.getpid(), "created": created_at(os.getpid())}
        self._parts.state.write_status(
            {
                **self._parts.summary(),
                "phase": self._phase,
                "step": self._step,
                "error": self._error,
                "supervisor": own,
                "processes": rows,
            }
        )


def main(path: Path, *, has_proxies: bool) -> None:
    """Run the sandbox of a state folder; a second supervisor of the same folder ends at once."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    state = StateDir(path)
    state.logs.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another supervisor runs this sandbox")
        earlier = state.status()
        if earlier is not None:
            end_leftovers(
                [(row["pid"], row["created"]) for row in earlier["processes"] if row["pid"]]
            )
        asyncio.run(Supervisor(topology(state, has_proxies=has_proxies)).run())


if __name__ == "__main__":
    main(Path(sys.argv[1]), has_proxies="--fault-proxies" in sys.argv)
