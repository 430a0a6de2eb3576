"""What a check of the edge costs by itself: edge/authz asked directly, as Envoy asks it.

Beside it, on the same server and in turn, an application that answers at once: what is left of the
difference is the check, with its signature, nonce, token and strict reading of the body.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from chassis.config import MeshSettings
from chassis.server import run
from edge.http_server import HttpServer
from sandbox.state import StateDir
from tests.load.bench import Bench
from tests.load.report import CONSOLE
from tests.load.requests import Request, create, read
from tests.load.vegeta import Attack

ROUNDS = 3
WORKERS = (1, 16, 64)  # callers at a time: nonces share statements, so more of them cost less each
START_S_MAX = 30


def measure_checks(bench: Bench, seconds: int) -> None:
    """Print CPU microseconds of a check, without Envoy, and of an empty one."""
    state = StateDir(bench.sandbox.folder)
    tls, port = state.tls, json.loads((state.path / "ports.json").read_text())["authz_http"]
    [authz] = [row["pid"] for row in bench.status["processes"] if row["name"] == "authz"]
    [intent] = bench.created(1)
    by_name: dict[str, Callable[[], Request]] = {
        "create": lambda: create("", next(bench.merchants)),
        "read": lambda: read("", *intent),
    }
    with _empty_service(tls) as (empty, empty_port):
        sides = (("empty", empty, empty_port), ("authz", authz, port))
        for kind, workers in [(kind, count) for kind in by_name for count in WORKERS]:
            spent_us: dict[str, list[float]] = {"empty": [], "authz": []}
            for _ in range(ROUNDS):
                for name, pid, port in sides:
                    requests = [
                        _as_envoy_asks(by_name[kind](), f"https://127.0.0.1:{port}")
                        for _ in range(4000 * seconds)
                    ]
                    before = _cpu_s(pid)
                    results = bench.check(Attack(requests, workers=workers, seconds=seconds))
                    answered = sum(result.ok for result in results)
                    if answered < len(results):
                        sys.exit(f"{name} refused {len(results) - answered} of {len(results)}")
                    spent_us[name].append((_cpu_s(pid) - before) / answered * 1e6)
            rounds = ", ".join(
                f"{both[1]:.0f} and {both[0]:.0f}"
                for both in zip(spent_us["empty"], spent_us["authz"], strict=True)
            )
            CONSOLE.print(
                f"{kind}, {workers} at a time: CPU µs of a check and an empty one: {rounds}"
            )


def _as_envoy_asks(request: Request, server: str) -> Request:
    """Return the check of a request: without what Envoy keeps back, with what it adds."""
    kept = {"Authorization", "X-Request-Timestamp", "X-Request-Nonce", "X-Signature"}
    headers = {name: value for name, value in request.headers.items() if name in kept}
    headers |= {
        "X-Client-Address": "127.0.0.1",
        "X-Request-Id": str(uuid.uuid4()),
        "Traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00",
    }
    return replace(request, url=server + request.url, headers=headers)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextmanager
def _empty_service(tls: Path) -> Iterator[tuple[int, int]]:
    """Run the empty application and yield its process and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", __name__, str(tls), str(port)])
    try:
        for _ in range(START_S_MAX * 10):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


async def _answer_all(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer 200 to whatever is asked, once it was read."""
    del scope
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _serve(tls: Path, port: int) -> None:
    settings = MeshSettings(
        service_name="authz",
        listen="",
        metrics_listen="",
        tls_certificate=tls / "authz.crt",
        tls_key=tls / "authz.key",
        tls_ca=tls / "ca.crt",
        jwks_file=tls / "jwks.json",
    )
    await HttpServer(settings, f"127.0.0.1:{port}", _answer_all).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
