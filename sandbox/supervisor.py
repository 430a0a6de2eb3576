"""The process that owns a sandbox: starts every part, keeps it running, ends it with itself."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import resource
import signal
import sys
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from chassis.background import keep_running
from sandbox.platform.authority import LIFETIME
from sandbox.process import Process, Spec, created_at, end_leftovers, run_step
from sandbox.state import DATABASES, StateDir
from sandbox.topology import NETWORKS, SERVICES, Topology, topology

LOG = logging.getLogger("sandbox")


class Supervisor:
    """Brings a sandbox up and keeps its status file true."""

    def __init__(self, parts: Topology) -> None:
        self._parts = parts
        self._renewals = parts.renewals(self._show_renewed)
        self._processes: list[Process] = []
        self._phase = "starting"
        self._step = "preparing"
        self._error: str | None = None
        self._watching: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Bring everything up, and down again on SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self._renewals.ask)
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and (error := starting.exception()) is not None:
            LOG.error("the sandbox did not start", exc_info=error)
            self._error = f"{type(error).__name__}: {error}"
        else:
            await stopping
        starting.cancel()
        for task in self._watching:
            task.cancel()
        self._set("stopping", "stopping")
        await self._stop()
        self._set("failed" if self._error else "stopped", "stopped")

    async def _start(self) -> None:
        self._step_to("fetching jars, writing certificates")
        await asyncio.to_thread(self._parts.prepare)
        self._watch(self._renewals.run(self._write), "certificates")
        self._step_to("starting PostgreSQL, Kafka and the card networks")
        postgres = await self._run(self._parts.postgres.spec())
        kafka = await self._run(self._parts.kafka.spec())
        for name in NETWORKS:
            await self._run(self._parts.network(name))
            if self._parts.has_proxies:
                await self._run(self._parts.proxy(name))
        await asyncio.gather(self._start_services(postgres), self._start_connect(kafka))
        self._step_to("configuring the connectors")
        await self._parts.connect.create_connectors(self._parts.postgres.connector_settings())
        self._watch(self._parts.connect.keep_connectors_running(), "connectors")
        await asyncio.gather(*(process.healthy() for process in self._processes))
        self._set("running", "everything is up")

    async def _start_services(self, postgres: Process) -> None:
        await postgres.healthy()
        await asyncio.to_thread(self._parts.postgres.create_databases, DATABASES)
        self._step_to("migrating the databases")
        migrations = self._parts.migrations()
        await run_step(migrations, self._parts.state.logs / f"{migrations.name}.log")
        self._step_to("starting the services and Envoy")
        services = [await self._run(self._parts.service(name)) for name in SERVICES]
        await self._run(self._parts.envoy())
        await asyncio.gather(*(service.healthy() for service in services))

    async def _start_connect(self, kafka: Process) -> None:
        await kafka.healthy()
        await self._parts.kafka.create_users_and_topics()
        connect = await self._run(self._parts.connect.spec())
        await connect.healthy()

    async def _show_renewed(self) -> None:
        """Tell of renewed certificates who reads them only when told to, or at its start.

        Kafka and Connect are told when half of their own certificate's longer life is over.
        """
        await asyncio.to_thread(self._parts.postgres.reload)
        healthy = {each.spec.name: each for each in self._processes if each.health == "healthy"}
        if "kafka" in healthy and self._parts.kafka.needs_certificate:
            try:
                await self._parts.kafka.reload_certificate()
            except (OSError, RuntimeError):  # it can't be told once its certificate has expired
                LOG.warning("starting Kafka again with its new certificate", exc_info=True)
                await healthy["kafka"].restart()
        if "connect" in healthy and self._parts.connect.needs_certificate:
            self._parts.connect.copy_certificate()
            await healthy["connect"].restart()

    async def _run(self, spec: Spec) -> Process:
        log = self._parts.state.logs / f"{spec.name}.log"
        process = Process(spec, log, self._write)
        self._processes.append(process)
        await process.start()
        return process

    def _watch(self, loop: Coroutine[Any, Any, None], name: str) -> None:
        self._watching.append(keep_running(loop, name))

    async def _stop(self) -> None:
        """End what merchants reach first, then what that stood on."""
        by_name = {process.spec.name: process for process in self._processes}
        for group in (
            ("envoy",),
            ("authz", "web", "webhook_svc", "recon_svc", "audit_svc"),
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
                "renewals": self._renewals.count,
                "processes": rows,
            }
        )


def main(path: Path, *, has_proxies: bool, certificate_lifetime: timedelta) -> None:
    """Run the sandbox of a state folder; a second supervisor of the same folder ends at once."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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
        parts = topology(state, has_proxies=has_proxies, certificate_lifetime=certificate_lifetime)
        asyncio.run(Supervisor(parts).run())


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="sandbox.supervisor", description=__doc__)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--fault-proxies", action="store_true")
    parser.add_argument("--certificate-lifetime-s", type=float, default=LIFETIME.total_seconds())
    return parser.parse_args()


if __name__ == "__main__":
    arguments = read_arguments()
    main(
        arguments.state_dir,
        has_proxies=arguments.fault_proxies,
        certificate_lifetime=timedelta(seconds=arguments.certificate_lifetime_s),
    )
