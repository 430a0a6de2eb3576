"""What linters can't keep: lengths, banned words, where the environment is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("edge", "intent_svc", "txn_svc", "recon_svc", "webhook_svc", "audit_svc")
OURS = (*SERVICES, "chassis", "k8s", "sandbox", "proto", "tests")
TOP_LEVEL = {
    *("proto", "gen", "intent_svc", "txn_svc", "recon_svc", "webhook_svc", "edge", "k8s", "tests"),
    *("audit_svc", "chassis", "sandbox", "docs"),
}
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
BANNED_FILES = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager)(_|$)")


def _files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _names(paths: Iterator[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("name", _names(_files(*OURS)))
def test_files_and_functions_are_short_and_named_for_what_they_hold(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= FILE_LINES_MAX
    assert not BANNED_FILES.search(Path(name).stem)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("name", _names(_files(*SERVICES, "chassis")))
def test_services_read_the_environment_in_one_place_and_count_money_in_whole_units(
    name: str,
) -> None:
    text = (ROOT / name).read_text()
    if Path(name).name != "config.py":
        assert "os.environ" not in text
        assert "getenv" not in text
    assert "float(" not in text
    assert not re.search(r"select \*\s+from (?!jsonb_to_recordset)(?!\()", text, re.IGNORECASE)


def test_only_two_places_catch_everything() -> None:
    found = [
        name for name in _names(_files(*OURS)) if re.search(r"except Exception\b", _code(name))
    ]

    assert found == ["chassis/consumer.py", "chassis/server.py"]


def _code(name: str) -> str:
    return "" if name.endswith("test_tidy.py") else (ROOT / name).read_text()


def test_the_top_level_is_what_the_readme_says() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    readme = (ROOT / "README.md").read_text()

    assert {name for name in folders if not name.endswith((".egg-info", "__pycache__"))} <= (
        TOP_LEVEL | {"build"}
    )
    for name in TOP_LEVEL:
        assert f"{name}/" in readme, f"the README has no line for {name}/"
