"""A sandbox for the harness alone, with proxies before its card networks."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from sandbox import control
from sandbox.state import StateDir

Row = dict[str, Any]
POLL_S = 0.25
HEALING_S = 120.0
# What is killed and frozen; a part that this sandbox does not have is left out.
VICTIMS = (
    *("authz", "intent_svc", "txn_svc", "webhook_svc", "recon_svc", "audit_svc"),
    *("postgres", "kafka", "connect", "envoy"),
)

EVENTS = {
    "intent_svc": ("intent", "consumed_events"),
    "recon_svc": ("recon", "attempts"),
    "webhook_svc": ("webhook", "events"),
}


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running sandbox."""

    state: StateDir

    def up(self) -> None:
        """Start it. Raises SandboxFailed."""
        control.up(self.state, lambda _: None, has_proxies=True)

    def down(self) -> None:
        """End it and everything it runs."""
        control.down(self.state)

    def status(self) -> dict[str, Any]:
        """Return what runs where. Raises NotRunning."""
        return control.running(self.state)

    def victims(self) -> list[str]:
        """Return the names of the processes that may be hurt."""
        names = {row["name"] for row in self.status()["processes"]}
        return [name for name in VICTIMS if name in names]

    def pid(self, name: str) -> int | None:
        """Return the process of this name, or None while it is being started again."""
        [row] = [row for row in self.status()["processes"] if row["name"] == name]
        pid: int | None = row["pid"]
        return pid

    def events_of(self, service: str) -> tuple[str, str]:
        """Return the database and the table that a service keeps the events it reads in."""
        database, table = EVENTS[service]
        dsn: str = self.status()["databases"][database]
        return dsn, table

    def restarts(self) -> dict[str, int]:
        """Return how often each process was started again."""
        rows = self.status()["processes"]
        return {row["name"]: row["restarts"] for row in rows if row["restarts"]}

    async def healthy(self) -> None:
        """Wait until every process is. Raises TimeoutError, naming those that are not."""
        deadline = time.monotonic() + HEALING_S
        while sick := self._sick():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not healthy after {HEALING_S:.0f} s: {sick}")
            await asyncio.sleep(POLL_S)

    def _sick(self) -> list[str]:
        rows = self.status()["processes"]
        return [row["name"] for row in rows if row["health"] != "healthy"]

    def order(self, network: str, faults: dict[str, object]) -> None:
        """Tell the proxy before a network what goes wrong from now on."""
        self._ask_proxy(network, "PUT", "/faults", json.dumps(faults).encode())

    def cut(self, network: str) -> None:
        """Break every connection to a network."""
        self._ask_proxy(network, "POST", "/cut", b"")

    def proxied(self) -> dict[str, dict[str, int]]:
        """Return what each proxy counted."""
        return {
            network: self._ask_proxy(network, "GET", "/faults", None)["counts"]
            for network in self.status()["proxies"]
        }

    def _ask_proxy(self, network: str, method: str, path: str, content: bytes | None) -> Any:
        admin = self.status()["proxies"][network]
        request = urllib.request.Request(f"http://{admin}{path}", method=method, data=content)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def clear(self) -> None:
        """Let each network write its clearing file."""
        for network in self.status()["networks"].values():
            request = urllib.request.Request(f"http://{network['admin']}/clearing", method="POST")
            urllib.request.urlopen(request, timeout=30).close()

    def ledgers(self) -> dict[str, list[Row]]:
        """Return the networks' own books."""
        books = {}
        for name, network in self.status()["networks"].items():
            with urllib.request.urlopen(f"http://{network['admin']}/ledger") as answer:
                books[name] = json.loads(answer.read())
        return books

    def query(self, database: str, sql: str) -> list[Row]:
        """Read rows of a service's database."""
        dsn = self.status()["databases"][database]
        with psycopg.connect(dsn, row_factory=dict_row) as connection:
            return connection.execute(sql.encode()).fetchall()
