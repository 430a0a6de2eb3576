"""Envoy with the edge's own configuration: the sandbox fills in addresses, nothing else."""

from __future__ import annotations

import string
import sys
import urllib.error
import urllib.request
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path

from sandbox.process import Spec
from sandbox.state import ROOT

PROGRAM = Path(sys.executable).parent / "envoy"


def render(values: Mapping[str, object]) -> str:
    """Return `edge/envoy.yaml` with its placeholders filled. Raises KeyError for a missing one."""
    return string.Template((ROOT / "edge" / "envoy.yaml").read_text()).substitute(values)


def spec(folder: Path, values: Mapping[str, object], admin_port: int) -> Spec:
    """Write the configuration and return how to run it."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "envoy.yaml"
    configuration.write_text(render(values))

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
    )


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 our own Envoy
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False
