"""What the benchmark says of backlogs: whether they grow, and of requests that were due."""

from __future__ import annotations

import pytest

from tests.load.backlog import REQUESTS, Reading, trends, with_requests
from tests.load.vegeta import Result


def readings(waiting: list[float], arrives_per_s: float) -> list[Reading]:
    return [
        Reading(100.0 + second, {"lag": count, "open": count}, {"lag": second * arrives_per_s})
        for second, count in enumerate(waiting)
    ]


def an_answer(sent_at_s: float, latency_s: float) -> Result:
    return Result("create", sent_at_s, "", 200, latency_s, {})


@pytest.mark.parametrize(
    ("per_s", "is_growing"), [(0.0, False), (-5.0, False), (1.0, False), (3.0, True)]
)
def test_a_backlog_grows_when_more_than_a_fiftieth_of_what_arrives_stays(
    per_s: float, is_growing: bool
) -> None:
    swinging = [50 + second * per_s + (-1) ** second * 20 for second in range(60)]

    [lag, opened] = trends(readings(swinging, 100), {"open": 100})

    assert (lag.arrives_per_s, lag.is_growing) == (100, is_growing)
    assert (opened.arrives_per_s, opened.is_growing) == (100, is_growing)
    assert lag.slope_per_s == pytest.approx(per_s, abs=0.1)


def test_a_request_that_is_sent_late_was_due_all_the_same() -> None:
    results = [an_answer(0.0, 1.0), an_answer(0.5, 3.0), an_answer(4.0, 1.0), an_answer(9.0, 1.0)]

    found = [
        with_requests(Reading(at_s, {}, {}), results, 2.0).waiting[REQUESTS]
        for at_s in (1.0, 2.0, 3.5, 5.0)
    ]

    assert found == [1, 3, 5, 7]
