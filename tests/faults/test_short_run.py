"""A short run of the fault harness with a fixed seed: everything fails, and the promises hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.state import ROOT
from tests.faults.apart import run_apart

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SEED = 689  # kills every part and lets every reader of events die with its database
PAYMENTS = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter, for a sandbox of its own."""
    made = Path(tempfile.mkdtemp(prefix="paymesh-faults-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_the_promises_hold_when_every_part_is_killed_and_frozen(folder: Path) -> None:
    report = run_apart(ROOT, SEED, PAYMENTS, folder)

    assert report["faults"]
    assert [
        f"{finding['name']}: {violation['id']} {violation['what']}"
        for finding in report["findings"]
        for violation in finding["violations"]
    ] == []
