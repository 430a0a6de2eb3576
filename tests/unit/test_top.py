"""The arithmetic of `paymesh top`: rates, quantiles and levels as Prometheus reckons them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest
from rich.console import Console

from sandbox.commands.top import shown
from sandbox.top.figures import FIGURES
from sandbox.top.frame import Look, Row, frame, read_samples
from sandbox.top.series import (
    Increase,
    Level,
    Moment,
    Quantile,
    Rate,
    Reading,
    Sample,
    Series,
    Share,
    Value,
    histogram_quantile,
)

INFINITY = float("inf")
CALLS = "paymesh_rpc_duration_seconds"


def a_sample(value: float, name: str = "calls", process: str = "a", **labels: str) -> Sample:
    return Sample(process, name, labels, value)


def _values(
    reading: Reading, before: list[Sample], now: list[Sample]
) -> Mapping[tuple[str, ...], Value]:
    return reading.values(Moment(100.0, tuple(before)), Moment(102.0, tuple(now)))


def test_a_rate_is_the_growth_a_second_of_all_processes_together() -> None:
    before = [a_sample(10), a_sample(100, process="b")]
    now = [a_sample(14), a_sample(106, process="b")]

    assert _values(Rate(Series("calls")), before, now) == {(): Value(5.0, 120)}


def test_a_counter_that_began_again_has_grown_from_nothing() -> None:
    found = _values(Rate(Series("calls")), [a_sample(50)], [a_sample(6)])

    assert found == {(): Value(3.0, 6)}


def test_a_counter_that_is_new_has_grown_from_nothing() -> None:
    assert _values(Increase(Series("calls")), [], [a_sample(3)]) == {(): Value(3, 3)}


def test_labels_tell_values_apart_and_patterns_match_them_as_a_whole() -> None:
    now = [
        a_sample(1, method="/Get", status="OK"),
        a_sample(2, method="/Get", status="INTERNAL"),
        a_sample(4, method="/GetAll", status="OK"),
        a_sample(8, method="/List", status="OK"),
    ]

    found = _values(Increase(Series("calls", {"method": "/Get|/List"}), ("status",)), [], now)

    assert found == {("OK",): Value(9, 9), ("INTERNAL",): Value(2, 2)}


def test_a_share_of_nothing_is_unknown() -> None:
    share = Share(Series("calls", {"status": "INTERNAL"}), Series("calls"), ("service",))
    before = [a_sample(5, status="OK", service="txn"), a_sample(5, status="OK", service="intent")]
    now = [
        a_sample(8, status="OK", service="txn"),
        a_sample(1, status="INTERNAL", service="txn"),
        a_sample(5, status="OK", service="intent"),
    ]

    assert _values(share, before, now) == {
        ("txn",): Value(0.25, 1),
        ("intent",): Value(None, 0),
    }


@pytest.mark.parametrize(
    ("quantile", "counts", "expected"),
    [
        (0.5, {1: 0, 2: 10, INFINITY: 10}, 1.5),
        (0.99, {1: 0, 2: 10, INFINITY: 10}, 1.99),
        (0.5, {1: 4, 2: 4, 4: 8, INFINITY: 8}, 1.0),
        (0.75, {1: 4, 2: 4, 4: 8, INFINITY: 8}, 3.0),
        (0.5, {1: 2, INFINITY: 2}, 0.5),
        (0.99, {1: 1, 2: 1, INFINITY: 10}, 2),  # beyond the last bound nothing is known
        (0.5, {1: 0, INFINITY: 0}, None),
        (0.5, {}, None),
    ],
)
def test_a_quantile_is_spread_evenly_in_its_bucket(
    quantile: float, counts: dict[float, float], expected: float | None
) -> None:
    assert histogram_quantile(quantile, counts) == pytest.approx(expected)


def test_a_quantile_is_of_the_interval_and_not_of_all_time() -> None:
    def buckets(*counts: int) -> list[Sample]:
        bounds = ("0.1", "1", "+Inf")
        return [
            a_sample(count, "took_bucket", le=bound)
            for bound, count in zip(bounds, counts, strict=True)
        ]

    found = _values(Quantile(0.5, Series("took")), buckets(90, 90, 90), buckets(90, 100, 100))

    assert found[()].total == 100
    assert found[()].now == pytest.approx(0.55)


@pytest.mark.parametrize(("pick", "expected"), [("max", 7), ("min", 3), ("sum", 10)])
def test_a_level_is_picked_from_what_processes_say_now(pick: str, expected: float) -> None:
    now = [a_sample(3), a_sample(7, process="b")]

    found = _values(Level(pick, Series("calls")), [a_sample(99)], now)  # type: ignore[arg-type]

    assert found == {(): Value(expected)}


def test_samples_are_read_from_prometheus_text_under_the_name_of_their_service() -> None:
    text = f"""\
# HELP {CALLS} Time to answer
# TYPE {CALLS} histogram
{CALLS}_bucket{{le="+Inf",method="/a",status="OK"}} 3.0
{CALLS}_count{{method="/a",status="OK"}} 3.0
{CALLS}_sum{{method="/a",status="OK"}} 0.5
something_else 1.0
"""

    found = read_samples("intent_svc", text)

    assert [(each.name, each.value, each.labels["service"]) for each in found] == [
        (f"{CALLS}_bucket", 3.0, "intent"),
        (f"{CALLS}_count", 3.0, "intent"),
    ]


def _look(at_s: float, *samples: Sample, silent: frozenset[str] = frozenset()) -> Look:
    processes = ({"name": "recon_svc", "health": "healthy"}, {"name": "kafka", "health": "healthy"})
    return Look(Moment(at_s, samples), silent, processes)


def _row(rows: tuple[Row, ...], name: str) -> Value:
    [row] = [row for row in rows if row.figure.name == name]
    return row.value


def test_a_process_that_does_not_answer_is_down_and_what_it_would_tell_unknown() -> None:
    told = a_sample(5, "paymesh_unresolved_attempts", "recon_svc")

    before = frame(_look(0, told), _look(2, told))
    after = frame(_look(2, told), _look(4, silent=frozenset({"recon_svc"})))

    assert before.states == {"recon_svc": "healthy", "kafka": "healthy"}
    assert _row(before.rows, "unresolved_attempts") == Value(5)
    assert after.states == {"recon_svc": "down", "kafka": "healthy"}
    assert _row(after.rows, "unresolved_attempts") == Value(None)


def test_a_frame_is_printed_with_every_figure_and_every_process() -> None:
    one = frame(_look(0), _look(2, silent=frozenset({"recon_svc"})))
    console = Console(width=400, record=True, file=io.StringIO())

    console.print(shown(one))
    text = console.export_text()

    assert {figure.panel for figure in FIGURES if figure.name in _names(one.as_json())} <= {
        part.strip() for line in text.splitlines() for part in line.split("  ")
    }
    assert "recon_svc  down" in text
    assert json.dumps(one.as_json())


def _names(told: dict[str, object]) -> set[str]:
    figures = told["figures"]
    assert isinstance(figures, list)
    return {figure["name"] for figure in figures}
