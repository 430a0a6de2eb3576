"""A sandbox for a part of the benchmark that changes what the others count."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import control
from sandbox.state import StateDir
from tests.faults.mesh import Mesh
from tests.load.report import CONSOLE


@contextmanager
def own_sandbox() -> Iterator[Mesh]:
    """Run one in a folder of its own, and say at the end how busy the machine was."""
    folder = Path(tempfile.mkdtemp(prefix="paymesh-bench-"))
    folder.chmod(0o755)
    mesh = Mesh(StateDir(folder))
    try:
        control.up(mesh.state, lambda _: None)
        yield mesh
        CONSOLE.print("load average: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))
    finally:
        mesh.down()
        shutil.rmtree(folder, ignore_errors=True)
