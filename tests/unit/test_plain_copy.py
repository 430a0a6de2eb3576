"""The code still has what the benchmark takes out of it to measure what TLS costs."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
import yaml

from tests.changed_code import ROOT
from tests.load.plain_copy import CHANGES


def _changed(root: Path) -> dict[str, str]:
    """Apply every change to copies of the files below a folder and return what they hold then."""
    for name in {change.file for change in CHANGES}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for change in CHANGES:
        change.apply(root)
    return {change.file: (root / change.file).read_text() for change in CHANGES}


def test_every_change_applies_and_leaves_the_code_readable(tmp_path: Path) -> None:
    changed = _changed(tmp_path)

    for name, text in changed.items():
        assert text != (ROOT / name).read_text()
        if name.endswith(".py"):
            ast.parse(text)


def test_envoy_keeps_merchants_tls_and_no_other(tmp_path: Path) -> None:
    resources = yaml.safe_load(_changed(tmp_path)["edge/envoy.yaml"])["static_resources"]

    [listener] = [each for each in resources["listeners"] if each["name"] == "edge"]
    assert all("transport_socket" in chain for chain in listener["filter_chains"])
    assert not [each["name"] for each in resources["clusters"] if "transport_socket" in each]


def test_a_change_to_code_that_is_no_more_is_refused(tmp_path: Path) -> None:
    change = CHANGES[0]
    file = tmp_path / change.file
    file.parent.mkdir(parents=True)
    file.write_text("pass\n")

    with pytest.raises(ValueError, match=f"{change.name}: .* {change.file}"):
        change.apply(tmp_path)
