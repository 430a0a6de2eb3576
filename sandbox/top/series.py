"""Metrics as processes tell them at a moment, and what Prometheus' functions make of two moments.

Each way of reading a metric has its expression in PromQL beside it, so that a dashboard and this
show the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

WINDOW = "1m"
Labels = tuple[str, ...]
PICKS: dict[str, Callable[[list[float]], float]] = {"max": max, "min": min, "sum": sum}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, and which process told it."""

    process: str
    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def series(self) -> tuple[str, str, frozenset[tuple[str, str]]]:
        """Return what stays the same from one moment to the next."""
        return self.process, self.name, frozenset(self.labels.items())


@dataclass(frozen=True, slots=True)
class Moment:
    """What all processes told at once. at_s: by a clock that only goes forward."""

    at_s: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure under some labels.

    now: None where nothing tells of it. total: of a counter, since its processes began.
    """

    now: float | None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Series of a metric. where: regular expressions that labels match as a whole."""

    metric: str
    where: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        matchers = ", ".join(
            f'{label}{"=" if pattern.isalnum() else "=~"}"{pattern}"'
            for label, pattern in self.where.items()
        )
        return f"{self.metric}{{{matchers}}}" if matchers else self.metric

    def at(self, moment: Moment) -> Iterator[Sample]:
        """Yield the samples of these series."""
        for sample in moment.samples:
            if sample.name == self.metric and all(
                re.fullmatch(pattern, sample.labels.get(label, ""))
                for label, pattern in self.where.items()
            ):
                yield sample

    def of(self, suffix: str) -> Series:
        """Return the series that a histogram has under this suffix."""
        return Series(f"{self.metric}_{suffix}", self.where)


class Reading(Protocol):
    """A way to read metrics. by: the labels that tell its values apart."""

    @property
    def by(self) -> Labels:
        """Return these labels."""

    @property
    def metrics(self) -> set[str]:
        """Return the names of all samples that it needs."""

    @property
    def expression(self) -> str:
        """Return the same in PromQL."""

    def values(self, before: Moment, now: Moment) -> dict[Labels, Value]:
        """Return the values by their labels, in the order of `by`."""


def _summed(by: Labels) -> str:
    return f"sum by ({', '.join(by)}) " if by else "sum"


def _labels(sample: Sample, by: Labels) -> Labels:
    return tuple(sample.labels.get(label, "") for label in by)


def _increases(series: Series, before: Moment, now: Moment) -> Iterator[tuple[Sample, float]]:
    """Yield how much each counter has grown; one that began again has grown from nothing."""
    earlier = {sample.series: sample.value for sample in series.at(before)}
    for sample in series.at(now):
        was = earlier.get(sample.series, 0.0)
        yield sample, sample.value - was if sample.value >= was else sample.value


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a counter grows a second."""

    of: Series
    by: Labels = ()

    @property
    def metrics(self) -> set[str]:
        """Return the counter's name."""
        return {self.of.metric}

    @property
    def expression(self) -> str:
        """Return the same in PromQL."""
        return f"{_summed(self.by)}(rate({self.of}[{WINDOW}]))"

    def values(self, before: Moment, now: Moment) -> dict[Labels, Value]:
        """Return the rates, and the totals."""
        grown = _grown(self.of, self.by, before, now)
        lasted_s = now.at_s - before.at_s
        return {labels: Value(more / lasted_s, total) for labels, (more, total) in grown.items()}


@dataclass(frozen=True, slots=True)
class Increase:
    """How much a counter has grown. window: over how long a dashboard says so."""

    of: Series
    by: Labels = ()
    window: str = "5m"

    @property
    def metrics(self) -> set[str]:
        """Return the counter's name."""
        return {self.of.metric}

    @property
    def expression(self) -> str:
        """Return the same in PromQL."""
        return f"{_summed(self.by)}(increase({self.of}[{self.window}]))"

    def values(self, before: Moment, now: Moment) -> dict[Labels, Value]:
        """Return the increases, and the totals."""
        grown = _grown(self.of, self.by, before, now)
        return {labels: Value(more, total) for labels, (more, total) in grown.items()}


@dataclass(frozen=True, slots=True)
class Share:
    """Which share of all that is counted are some."""

    some: Series
    all: Series
    by: Labels = ()

    @property
    def metrics(self) -> set[str]:
        """Return the names of both counters."""
        return {self.some.metric, self.all.metric}

    @property
    def expression(self) -> str:
        """Return the same in PromQL."""
        return f"{Rate(self.some, self.by).expression} / {Rate(self.all, self.by).expression}"

    def values(self, before: Moment, now: Moment) -> dict[Labels, Value]:
        """Return the shares, None where nothing was counted, and how many there were in all."""
        some = _grown(self.some, self.by, before, now)
        found = {}
        for labels, (of_all, _) in _grown(self.all, self.by, before, now).items():
            more, total = some.get(labels, (0.0, 0.0))
            found[labels] = Value(more / of_all if of_all else None, total)
        return found


@dataclass(frozen=True, slots=True)
class Quantile:
    """What a share of the observations of a histogram did not exceed. window: of a dashboard."""

    quantile: float
    of: Series
    by: Labels = ()
    window: str = WINDOW

    @property
    def metrics(self) -> set[str]:
        """Return the name of the buckets."""
        return {self.of.of("bucket").metric}

    @property
    def expression(self) -> str:
        """Return the same in PromQL."""
        by = ", ".join(("le", *self.by))
        rate = f"rate({self.of.of('bucket')}[{self.window}])"
        return f"histogram_quantile({self.quantile}, sum by ({by}) ({rate}))"

    def values(self, before: Moment, now: Moment) -> dict[Labels, Value]:
        """Return the quantiles, None where nothing was observed, and how many were in all."""
        buckets: dict[Labels, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        totals: dict[Labels, float] = defaultdict(float)
        for sample, more in _increases(self.of.of("bucket"), before, now):
            bound = float(sample.labels["le"])
            buckets[_labels(sample, self.by)][bound] += more
            if bound == float("inf"):
                totals[_labels(sample, self.by)] += sample.value
        return {
            labels: Value(histogram_quantile(self.quantile, counts), totals[labels])
            for labels, counts in buckets.items()
        }


@dataclass(frozen=True, slots=True)
class Level:
    """What gauges say. pick: what counts where several say something."""

    pick: Literal["max", "min", "sum"]
    of: Series
    by: Labels = ()

    @property
    def metrics(self) -> set[str]:
        """Return the gauge's name."""
        return {self.of.metric}

    @property
    def expression(self) -> str:
        """Return the same in PromQL."""
        by = f" by ({', '.join(self.by)}) " if self.by else ""
        return f"{self.pick}{by}({self.of})"

    def values(self, before: Moment, now: Moment) -> dict[Labels, Value]:  # noqa: ARG002 as others
        """Return what they say now."""
        found: dict[Labels, list[float]] = defaultdict(list)
        for sample in self.of.at(now):
            found[_labels(sample, self.by)].append(sample.value)
        return {labels: Value(PICKS[self.pick](told)) for labels, told in found.items()}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What only operators and exporters of a cluster tell: dashboards show it, `top` does not."""

    expression: str


def histogram_quantile(quantile: float, counts: Mapping[float, float]) -> float | None:
    """Return a quantile as Prometheus reckons it: evenly spread within a bucket.

    counts: how many observations are at most a bound, by bound, infinity among them. None where
    there are none. What is beyond the last finite bound counts as that bound.
    """
    bounds = sorted(counts)
    total = counts[bounds[-1]] if bounds else 0.0
    if not total:
        return None
    wanted = quantile * total
    lower, below = 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= wanted and counts[bound] > below:
            if bound == float("inf"):
                break
            return lower + (bound - lower) * (wanted - below) / (counts[bound] - below)
        if bound != float("inf"):
            lower = bound
        below = counts[bound]
    return lower


def _grown(
    series: Series, by: Labels, before: Moment, now: Moment
) -> dict[Labels, tuple[float, float]]:
    """Return by labels how much counters have grown, and what they have come to."""
    found: dict[Labels, tuple[float, float]] = {}
    for sample, more in _increases(series, before, now):
        labels = _labels(sample, by)
        grown, total = found.get(labels, (0.0, 0.0))
        found[labels] = (grown + more, total + sample.value)
    return found
