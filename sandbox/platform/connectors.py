"""The connectors of a worker of Kafka Connect, over its REST interface."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from typing import Any

LOG = logging.getLogger("sandbox")
POLL_S = 0.2
TRIES = 300
FAILURES_MAX = 25  # a request that overtakes another one also shows as a failure, for a moment
RUNNING = ["RUNNING", "RUNNING"]  # the connector and its task
STOPPED = ["STOPPED"]
BUSY = {404, 409, 500}  # a rebalance is under way


class Connectors:
    """address: "host:port" of a worker."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Return what the worker answers. Raises OSError, urllib.error.HTTPError."""
        return await asyncio.to_thread(self._request, method, path, body)

    async def states(self, name: str) -> list[str]:
        """Return the states of a connector and of its tasks. Raises as `call` does."""
        return _states(await self.call("GET", f"/connectors/{name}/status"))

    async def all_states(self) -> dict[str, list[str]]:
        """Return the states of every connector, by name. Raises as `call` does."""
        found = await self.call("GET", "/connectors?expand=status")
        return {name: _states(each["status"]) for name, each in found.items()}

    async def configure(self, name: str, config: dict[str, str]) -> None:
        """Make a connector, or change it. Raises RuntimeError, TimeoutError."""
        await self._patiently("PUT", f"/connectors/{name}/config", config)

    async def stop(self, name: str) -> None:
        """Stop a connector and its task; it stays so until it is resumed."""
        await self._patiently("PUT", f"/connectors/{name}/stop")
        await self.until(name, STOPPED)

    async def configuration(self, name: str) -> dict[str, str]:
        """Return how a connector is configured. Raises as `call` does."""
        found: dict[str, str] = await self.call("GET", f"/connectors/{name}/config")
        return found

    async def forget_position(self, name: str) -> None:
        """Delete the offsets of a connector that is stopped."""
        await self._patiently("DELETE", f"/connectors/{name}/offsets")

    async def until_positioned(self, name: str) -> None:
        """Wait until a connector has offsets, for which a change must come, such as a heartbeat.

        Raises TimeoutError.
        """
        for _ in range(TRIES):
            if (await self.call("GET", f"/connectors/{name}/offsets"))["offsets"]:
                return
            await asyncio.sleep(POLL_S)
        raise TimeoutError(f"connector {name} has no offsets: do {name}'s processes run?")

    async def resume(self, name: str) -> None:
        """Let a stopped connector go on, and wait until it runs. Raises as `until` does."""
        await self._patiently("PUT", f"/connectors/{name}/resume")
        await self.until(name, RUNNING)

    async def until(self, name: str, wanted: list[str]) -> None:
        """Wait until a connector and its task are in these states.

        Raises RuntimeError if it fails when it should run and nobody starts it again, TimeoutError.
        """
        found: list[str] = []
        failures = 0
        for _ in range(TRIES):
            try:
                found = await self.states(name)
            except (urllib.error.HTTPError, TimeoutError):
                found = []
            if found == wanted:
                return
            failures = failures + 1 if "FAILED" in found and "RUNNING" in wanted else 0
            if failures > FAILURES_MAX:
                raise RuntimeError(f"connector {name} failed")
            await asyncio.sleep(POLL_S)
        raise TimeoutError(f"connector {name} is {found}, not {wanted}")

    async def _patiently(self, method: str, path: str, body: object = None) -> None:
        for _ in range(TRIES):
            try:
                await self.call(method, path, body)
            except urllib.error.HTTPError as refused:
                if refused.code not in BUSY:
                    raise RuntimeError(f"{path}: {refused.read().decode()}") from refused
                await asyncio.sleep(POLL_S)
            except TimeoutError:  # what a killed worker left open is waited for
                LOG.warning("Connect is busy; asking again")
            else:
                return
        raise TimeoutError(f"{method} {path} is not answered")

    def _request(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(
            f"http://{self._address}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 our own worker
            return json.loads(answer.read() or b"null")


def _states(status: dict[str, Any]) -> list[str]:
    return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
