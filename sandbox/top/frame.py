"""What `top` shows at once: every process, and every figure as two moments make it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sandbox.top.figures import FIGURES, Figure
from sandbox.top.series import Elsewhere, Moment, Sample, Value
from sandbox.topology import SERVICES

ANSWER_S_MAX = 2.0
# What stands in the label "service", which in a cluster the PodMonitors set.
NAMES = {name: service for name, (service, _) in SERVICES.items()} | {"envoy": "edge"}
WANTED = tuple(
    sorted(
        {
            name
            for each in FIGURES
            if not isinstance(each.reading, Elsewhere)
            for name in each.reading.metrics
        }
    )
)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment. silent: the processes that should have told and did not."""

    moment: Moment
    silent: frozenset[str]
    processes: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A figure under some labels."""

    figure: Figure
    labels: dict[str, str]
    value: Value


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything at once. states: by process, "down" where it does not answer."""

    at: datetime
    interval_s: float
    states: dict[str, str]
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the same as plain values."""
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "intervalS": round(self.interval_s, 3),
            "processes": self.states,
            "figures": [
                {
                    "name": row.figure.name,
                    "labels": row.labels,
                    "unit": row.figure.unit,
                    "now": row.value.now,
                    "total": row.value.total,
                }
                for row in self.rows
            ],
        }


def look(processes: Sequence[dict[str, Any]]) -> Look:
    """Read every process that has metrics. processes: as `paymesh status --json` lists them."""
    urls = {row["name"]: row["metrics"] for row in processes if "metrics" in row}
    at_s = time.monotonic()
    with ThreadPoolExecutor(len(urls) or 1) as threads:
        told = dict(zip(urls, threads.map(_told, urls, urls.values()), strict=True))
    samples = [sample for each in told.values() for sample in each or ()]
    silent = frozenset(name for name, each in told.items() if each is None)
    return Look(Moment(at_s, tuple(samples)), silent, tuple(processes))


def frame(before: Look, now: Look) -> Frame:
    """Return what two looks come to."""
    states = {
        row["name"]: "down" if row["name"] in now.silent else row["health"] for row in now.processes
    }
    rows = [row for figure in FIGURES for row in _rows(figure, before.moment, now.moment)]
    interval_s = now.moment.at_s - before.moment.at_s
    return Frame(datetime.now(UTC), interval_s, states, tuple(rows))


def read_samples(process: str, text: str) -> list[Sample]:
    """Return the samples that figures are made of from what a process told, in Prometheus' text."""
    lines = [line for line in text.splitlines(keepends=True) if line.startswith(WANTED)]
    own = {"service": NAMES.get(process, process)}
    return [
        Sample(process, sample.name, own | sample.labels, sample.value)
        for family in text_string_to_metric_families("".join(lines))
        for sample in family.samples
        if sample.name in WANTED
    ]


def _told(process: str, url: str) -> list[Sample] | None:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310 our own
            return read_samples(process, answer.read().decode())
    except OSError:
        return None


def _rows(figure: Figure, before: Moment, now: Moment) -> list[Row]:
    """Return a figure's values; one that nobody tells of says so."""
    if isinstance(figure.reading, Elsewhere):
        return []
    values: Mapping[tuple[str, ...], Value] = figure.reading.values(before, now)
    return [
        Row(figure, dict(zip(figure.reading.by, labels, strict=True)), value)
        for labels, value in sorted(values.items())
    ] or [Row(figure, {}, Value(None))]
