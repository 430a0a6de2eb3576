"""The fault harness's report: how long outcomes were unknown, and what is said of violations."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from tests.faults.certainty import Certainty, certainties
from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Change
from tests.faults.report import Report


def _change(attempt_id: str, offset: int, before: str | None, after: str, at_ms: int) -> Change:
    return Change("txn.attempts", 0, offset, attempt_id, "pi_1", before, after, offset, at_ms)


def a_report(*violations: Violation) -> Report:
    return Report(
        seed=7,
        payments=1,
        faults=["kill txn_svc"],
        restarts={},
        proxied={},
        certainty_s=[0.5, 2.5, 9.0],
        findings=[Finding("nothing is left open", {"intent processing": 1}, list(violations))],
    )


def test_an_attempt_is_unknown_from_its_timeout_until_it_is_something_else() -> None:
    changes = [
        _change("att_1", 0, None, "recorded", 0),
        _change("att_1", 1, "recorded", "timeout", 2_000),
        _change("att_1", 2, "timeout", "timeout", 3_000),
        _change("att_1", 3, "timeout", "reversed", 4_500),
        _change("att_2", 4, "recorded", "succeeded", 5_000),
        _change("att_3", 5, "recorded", "timeout", 6_000),
    ]

    assert certainties(changes) == [Certainty("pi_1", "reversed", 2.5)]


def test_a_report_names_what_contradicts_a_check(tmp_path: Path) -> None:
    printed = io.StringIO()
    report = a_report(Violation("pi_1", "the intent is left open"))

    report.show(Console(file=printed, width=140))
    report.write(tmp_path / "report.json")

    assert report.has_violations
    for text in (printed.getvalue(), (tmp_path / "report.json").read_text()):
        assert "pi_1" in text
        assert "nothing is left open" in text
    assert "p50 2.5 s, p99 9.0 s" in printed.getvalue()


def test_a_report_without_violations_is_well() -> None:
    assert not a_report().has_violations
