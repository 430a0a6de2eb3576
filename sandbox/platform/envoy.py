"""Envoy with the edge's own configuration: the sandbox fills in addresses, nothing else."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path

from edge.fill import fill
from sandbox.process import Spec

PROGRAM = Path(sys.executable).parent / "envoy"


def spec(folder: Path, values: Mapping[str, object], admin_port: int, metrics_port: int) -> Spec:
    """Write the configuration with its placeholders filled, and return how to run it.

    Raises KeyError for a missing placeholder.
    """
    configuration = fill(folder, values)

    async def is_healthy() -> bool:
        return await to_thread(_is_ready, f"http://127.0.0.1:{admin_port}/ready")

    return Spec(
        name="envoy",
        command=[
            str(PROGRAM),
            *("-c", str(configuration), "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "warning"),
            *("--file-flush-interval-msec", "1000"),
        ],
        is_healthy=is_healthy,
        folder=folder,
        metrics=f"http://127.0.0.1:{metrics_port}/stats/prometheus",
    )


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 our own Envoy
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
