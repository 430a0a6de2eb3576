"""Brings a sandbox up and down from a command: talks to the supervisor by signals and its file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from sandbox.platform.authority import LIFETIME
from sandbox.state import ROOT, StateDir

POLL_S = 0.1
DOWN_S = 60.0


class SandboxFailed(Exception):
    """The sandbox could not be started; the text says why."""


class NotRunning(Exception):
    """There is no running sandbox in this state folder."""


def running(state: StateDir) -> dict[str, Any]:
    """Return the status of a running sandbox. Raises NotRunning."""
    status = state.status()
    if status is None or status["phase"] != "running" or _supervisor(status) is None:
        raise NotRunning(f"no sandbox runs in {state.path}; start one with: paymesh up")
    return status


def is_running(state: StateDir) -> bool:
    """Return whether a sandbox is up in this folder."""
    try:
        running(state)
    except NotRunning:
        return False
    return True


def up(
    state: StateDir,
    progress: Callable[[str], None],
    *,
    has_proxies: bool = False,
    certificate_lifetime: timedelta = LIFETIME,
) -> dict[str, Any]:
    """Start the supervisor and wait until everything is up. Raises SandboxFailed.

    If the wait is broken off, the sandbox is ended. has_proxies: put proxies that can be told to
    fail before the card networks.
    """
    if is_running(state):
        return running(state)
    state.logs.mkdir(parents=True, exist_ok=True)
    if not state.is_of_this_version():
        raise SandboxFailed(
            f"the data in {state.path} are of another version of paymesh; remove that folder, "
            "which holds simulated payments only, and start again"
        )
    with (state.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.supervisor", str(state.path)),
                *(["--fault-proxies"] if has_proxies else []),
                *("--certificate-lifetime-s", str(certificate_lifetime.total_seconds())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
    is_up = False
    try:
        status = _until_running(state, supervisor, progress)
        is_up = True
    finally:
        if not is_up and supervisor.poll() is None:
            supervisor.terminate()
            supervisor.wait(DOWN_S)
    return status


def _until_running(
    state: StateDir, supervisor: subprocess.Popen[bytes], progress: Callable[[str], None]
) -> dict[str, Any]:
    while True:
        status = state.status()
        mine = status is not None and status["supervisor"]["pid"] == supervisor.pid
        if status is not None and mine:
            progress(status["step"])
            if status["phase"] == "running":
                return status
        if supervisor.poll() is not None:
            error = status["error"] if status is not None and mine else None
            raise SandboxFailed(error or f"see {state.logs / 'supervisor.log'}")
        time.sleep(POLL_S)


def down(state: StateDir) -> bool:
    """End the sandbox and everything it runs; False if there was none."""
    status = state.status()
    supervisor = _supervisor(status) if status is not None else None
    if supervisor is None:
        return False
    supervisor.send_signal(signal.SIGTERM)
    try:
        supervisor.wait(DOWN_S)
    except psutil.TimeoutExpired:
        supervisor.kill()  # its children go with it
        supervisor.wait(DOWN_S)
    return True


def renew_certificates(state: StateDir) -> None:
    """Let the sandbox renew its certificates, and wait until all know. Raises NotRunning."""
    before = running(state)
    supervisor = _supervisor(before)
    if supervisor is not None:
        supervisor.send_signal(signal.SIGUSR1)
    while running(state)["renewals"] == before["renewals"]:
        time.sleep(POLL_S)


def _supervisor(status: dict[str, Any]) -> psutil.Process | None:
    """Return the process that wrote the status, if it still is that one."""
    own = status["supervisor"]
    try:
        process = psutil.Process(own["pid"])
        same = abs(process.create_time() - own["created"]) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def tail(file: Path, lines: int) -> str:
    """Return the last lines of a log."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


def follow(files: list[Path]) -> None:
    """Print what is appended to logs until Ctrl-C."""
    offsets = {file: file.stat().st_size for file in files}
    while True:
        for file, offset in offsets.items():
            with file.open("rb") as log:
                log.seek(offset)
                os.write(1, log.read())
                offsets[file] = log.tell()
        time.sleep(0.2)
