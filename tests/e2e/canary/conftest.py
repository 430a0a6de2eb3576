"""A sandbox that runs a copy of the code, so that the code can be broken while it runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.changed_code import copy_code
from tests.e2e.conftest import Mesh


@dataclass(frozen=True, slots=True)
class CopiedMesh(Mesh):
    """A sandbox of the code in a folder."""

    code: Path

    def run(self, *arguments: str) -> str:
        """Run a paymesh command of the copy and return what it prints."""
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from sandbox.cli import app; app()", *arguments),
                *("--state-dir", str(self.state_dir)),
            ],
            cwd=self.code,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    async def trace_everything(self) -> None:
        """Let Envoy begin a trace for each request: then all spans are written."""
        port = json.loads((self.state_dir / "ports.json").read_text())["edge_admin"]
        url = f"http://127.0.0.1:{port}/runtime_modify?tracing.random_sampling=10000"
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def copied() -> Iterator[CopiedMesh]:
    """Start a sandbox of a copy, in a folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-canary-"))
    folder.chmod(0o755)
    code, state = folder / "code", folder / "state"
    state.mkdir()
    copy_code(code)
    running = CopiedMesh(state, code)
    try:
        running.run("up")
        yield running
    finally:
        running.run("down")
        shutil.rmtree(folder, ignore_errors=True)
