"""Prints what the benchmark measured, and holds what was acknowledged against the books."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from tests.faults.certainty import Certainty
from tests.load.backlog import Trend
from tests.load.measure import Usage
from tests.load.vegeta import Result
from tests.percentiles import percentile

CONSOLE = Console(width=120)
UNKNOWN = "pending_verification"
KINDS = ("create", "charge", f"charge, {UNKNOWN}", "read")
ERROR_CODE = re.compile(r'"code":\s*"(\w+)"')
SILENT = "two more messages"
SUCCEEDED = "select count(*) from transactions where status = 'succeeded'"
ANSWERED = "select count(*) from transactions where answered_as = %s"


def print_latency(title: str, results: list[Result]) -> None:
    """Print p50, p95 and p99 in milliseconds by kind of request."""
    table = Table("request", "sent", "not 200", "p50 ms", "p95 ms", "p99 ms", "max ms", title=title)
    latencies: dict[str, list[float]] = defaultdict(list)
    for result in results:
        is_unknown = result.ok and result.body["status"] == UNKNOWN
        kind = f"{result.kind}, {UNKNOWN}" if is_unknown else result.kind
        latencies[kind].append(result.latency_s * 1000)
    failed = Counter(result.kind for result in results if not result.ok)
    for kind, found_ms in sorted(latencies.items(), key=lambda row: KINDS.index(row[0])):
        table.add_row(
            kind,
            str(len(found_ms)),
            str(failed[kind]),
            *(f"{percentile(found_ms, percent):.1f}" for percent in (50, 95, 99, 100)),
        )
    CONSOLE.print(table)


def print_rate(results: list[Result]) -> None:
    """Print how many payments a second were answered, and what else was answered."""
    sent_s = [result.sent_at_s for result in results]
    charged = sum(result.ok for result in results if result.kind == "charge")
    others = Counter(
        f"{result.kind} {result.status} {''.join(ERROR_CODE.findall(result.body))}"
        for result in results
        if not result.ok
    )
    lasted_s = max(sent_s) - min(sent_s)
    CONSOLE.print(
        f"{charged / lasted_s:.1f} payments/s answered with 200 over {lasted_s:.1f} s; "
        f"not 200: {dict(others) or 'none'}"
    )


def print_cores(spent: Usage, lasted_s: float) -> None:
    """Print how many cores each process kept busy."""
    told = sum(spent.cpu_s.values())
    rows = sorted(spent.cpu_s.items(), key=lambda row: -row[1])
    CONSOLE.print(
        f"cores busy: ours {spent.ours_s / lasted_s:.2f}, generator and networks "
        f"{(told - spent.ours_s) / lasted_s:.2f}, all else on the machine "
        f"{(spent.machine_s - told) / lasted_s:.2f}; "
        + ", ".join(f"{name} {used / lasted_s:.2f}" for name, used in rows)
    )


def print_certainty(found: Mapping[tuple[str, str], list[Certainty]]) -> None:
    """Print how long outcomes were unknown. found: by network and by what it does."""
    table = Table(
        *("network", "what it does", "n", "p50 s", "p99 s", "max s", "ends as"),
        title="from our timeout to certainty",
    )

    def add(network: str, what: str, ends: list[Certainty]) -> None:
        times_s = [end.took_s for end in ends]
        statuses = Counter(end.status for end in ends)
        table.add_row(
            *(network, what, str(len(ends))),
            *(f"{percentile(times_s, percent):.2f}" for percent in (50, 99, 100)),
            ", ".join(f"{count} {status}" for status, count in statuses.items()),
        )

    for (network, what), ends in sorted(found.items()):
        add(network, what, ends)
    table.add_section()
    for what, is_silent in (("answered at once", False), ("answered the third time", True)):
        ends = [
            end for kind, ends in found.items() for end in ends if (SILENT in kind[1]) is is_silent
        ]
        if ends:
            add("both", f"inquiry or reversal {what}", ends)
    CONSOLE.print(table)


def print_trends(found: list[Trend], empty_after_s: float) -> None:
    """Print what each backlog did under load, and how long after it they were empty."""
    table = Table(
        *("backlog", "arrives/s", "first third", "last third", "most", "slope/s", "grows"),
        title="backlogs after warming up",
    )
    for trend in found:
        table.add_row(
            trend.name,
            f"{trend.arrives_per_s:,.0f}",
            *(f"{count:,.0f}" for count in (trend.early, trend.late, trend.most)),
            f"{trend.slope_per_s:+,.2f}",
            "[red]yes[/]" if trend.is_growing else "no",
        )
    CONSOLE.print(table)
    growing = [trend.name for trend in found if trend.is_growing]
    CONSOLE.print(f"growing: {', '.join(growing) or 'none'}; all empty {empty_after_s:.1f} s later")


def print_saturation(
    kind: str, results: list[Result], spent: Usage, batches: dict[str, float]
) -> None:
    """Print the rate, and CPU microseconds per answered request by process."""
    answered = sum(result.ok for result in results)
    seconds = max(sum(result.latency_s for result in results) / 64, 1e-9)
    others = Counter(result.status for result in results if not result.ok)
    title = f"{kind} at saturation: {answered / seconds:,.0f} requests/s, not 200: {dict(others)}"
    table = Table("process", "CPU µs per request", title=title)
    for name, used in sorted(spent.cpu_s.items(), key=lambda row: -row[1]):
        table.add_row(name, f"{used / answered * 1e6:,.0f}")
    table.add_section()
    table.add_row(
        "ours, without load generator and networks", f"{spent.ours_s / answered * 1e6:,.0f}"
    )
    CONSOLE.print(table)
    latencies = [result.latency_s * 1000 for result in results]
    CONSOLE.print(
        f"p50 {percentile(latencies, 50):.1f} ms, p95 {percentile(latencies, 95):.1f} ms, "
        f"p99 {percentile(latencies, 99):.1f} ms; items per batch since the start: "
        + ", ".join(f"{name} {size:.1f}" for name, size in sorted(batches.items()))
    )


def print_memory(resident: dict[str, int]) -> None:
    """Print resident memory by process."""
    table = Table("process", "MB", title="memory (PSS)")
    for name, size in sorted(resident.items(), key=lambda row: -row[1]):
        table.add_row(name, f"{size / 1e6:,.0f}")
    table.add_section()
    table.add_row("sum", f"{sum(resident.values()) / 1e6:,.0f}")
    CONSOLE.print(table)


def print_books(results: list[Result], status: dict[str, Any], ledgers: Any) -> bool:
    """Print what was acknowledged beside what is held, and our books beside the networks'.

    Every attempt must have its outcome. Returns whether there is no difference.
    """
    said: Counter[str] = Counter()
    for result in results:
        if result.ok and result.kind == "create":
            said["intents"] += 1
        if result.ok and result.kind == "charge":
            said[result.body["status"]] += 1
    ledger = [row for network in ledgers.values() for row in network]
    paid = _count(status, "txn", SUCCEEDED)
    rows = [
        (
            "intents",
            said["intents"],
            _count(status, "intent", "select count(*) from payment_intents"),
        )
    ]
    for answer in ("succeeded", "failed", UNKNOWN):
        held = _count(status, "txn", ANSWERED, answer)
        rows.append((f"charges answered {answer}", said[answer], held))
    rows += [
        (
            "charges succeeded in the end, approved by networks",
            paid,
            sum(bool(row["approved"] and not row["reversed"]) for row in ledger),
        ),
        (
            "charges succeeded in the end, intents succeeded",
            paid,
            _count(
                status, "intent", "select count(*) from payment_intents where status = 'succeeded'"
            ),
        ),
    ]
    table = Table("what", "acknowledged, or charged", "held", "difference", title="books")
    for name, ours, held in rows:
        table.add_row(name, str(ours), str(held), str(held - ours))
    CONSOLE.print(table)
    return all(ours == held for _, ours, held in rows)


def _count(status: dict[str, Any], database: str, sql: str, *values: str) -> int:
    with psycopg.connect(status["databases"][database]) as connection:
        row = connection.execute(sql.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
