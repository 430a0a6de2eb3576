"""What browsers load is what the sources say: built again, it comes out the same."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.state import ROOT

WEB = ROOT / "edge" / "web"
DIST = WEB / "dist"


def test_each_file_has_the_digest_that_pages_pin() -> None:
    integrity = json.loads((DIST / "integrity.json").read_text())

    assert integrity == {
        name: "sha384-"
        + base64.b64encode(hashlib.sha384((DIST / name).read_bytes()).digest()).decode()
        for name in integrity
    }
    page = (DIST / "card-frame.html").read_text()
    assert integrity["card-frame.js"] in page
    assert integrity["card-frame.css"] in page


def test_the_frame_loads_nothing_of_others_and_runs_nothing_inline() -> None:
    page = (DIST / "card-frame.html").read_text()

    assert "http:" not in page
    assert "https:" not in page
    assert page.count("<script") == page.count("<script defer src=")
    assert "style=" not in page


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm to build with")
@pytest.mark.timeout(300)
def test_it_is_built_from_the_sources_that_are_here(tmp_path: Path) -> None:
    copy = tmp_path / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    fetched = _run(copy, "npm", "ci", "--no-audit", "--no-fund")
    if fetched.returncode:
        pytest.skip(f"npm can't get the packages: {fetched.stderr[-300:]}")
    done = _run(copy, "npm", "run", "build")
    assert done.returncode == 0, done.stdout + done.stderr

    built = {file.name: file.read_bytes() for file in (copy / "dist").iterdir()}
    assert built == {file.name: file.read_bytes() for file in DIST.iterdir()}


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
