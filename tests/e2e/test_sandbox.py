"""A second sandbox beside the first: it survives crashes and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox import control
from sandbox.state import StateDir
from tests.e2e.conftest import PAYMESH, Mesh

pytestmark = pytest.mark.e2e


@pytest.fixture
def other() -> Iterator[Mesh]:
    """A folder for a sandbox that is not started yet."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-other-"))
    folder.chmod(0o755)
    yield Mesh(folder)
    control.down(StateDir(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _processes(mesh: Mesh) -> list[str]:
    """Return what runs with this sandbox's folder in its command line or as its own folder."""
    found = []
    for process in psutil.process_iter():
        try:
            places = [*process.cmdline(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(mesh.state_dir) in place for place in places):
            found.append(" ".join(places))
    return found


def _wait_until_nothing_runs(mesh: Mesh) -> list[str]:
    for _ in range(100):
        if not (left := _processes(mesh)):
            return []
        time.sleep(0.1)
    return left


def test_a_killed_supervisor_takes_everything_along_and_the_data_stays(
    mesh: Mesh, other: Mesh
) -> None:
    other.run("up")
    other.run("pay", "--amount", "2718")
    before = other.query("intent", "select id, status from payment_intents")
    assert mesh.status()["edge_url"] != other.status()["edge_url"]

    os.kill(other.status()["supervisor"]["pid"], signal.SIGKILL)
    left = _wait_until_nothing_runs(other)
    other.run("up")

    assert left == []
    assert other.query("intent", "select id, status from payment_intents") == before
    assert '"succeeded"' in other.run("pay", "--amount", "2719")
    other.run("down")
    assert _wait_until_nothing_runs(other) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_up_that_is_broken_off_leaves_nothing(other: Mesh, number: signal.Signals) -> None:
    command = subprocess.Popen(
        [PAYMESH, "up", "--state-dir", str(other.state_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(200):
        status = StateDir(other.state_dir).status()
        if status is not None and len(status["processes"]) > 3:
            break
        time.sleep(0.1)
    assert _processes(other)

    command.send_signal(number)

    assert command.wait(60) != 0
    assert _wait_until_nothing_runs(other) == []


@pytest.mark.parametrize("name", ["postgres", "kafka", "connect", "envoy", "visa_sim"])
def test_a_part_that_dies_comes_back(mesh: Mesh, name: str) -> None:
    pid = mesh.process(name)["pid"]

    os.kill(pid, signal.SIGKILL)

    for _ in range(300):
        process = mesh.process(name)
        if process["health"] == "healthy" and process["pid"] != pid:
            break
        time.sleep(0.1)
    assert process["health"] == "healthy"
    for _ in range(60):
        paid = subprocess.run(
            [PAYMESH, "pay", "--state-dir", str(mesh.state_dir)],
            capture_output=True,
            text=True,
            check=False,
        )
        if '"succeeded"' in paid.stdout:
            return
        time.sleep(0.5)
    pytest.fail(paid.stdout + paid.stderr)
