"""Prints what the benchmark measured, and holds what was acknowledged against the books."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from tests.load.measure import Usage
from tests.load.vegeta import Result

CONSOLE = Console(width=120)
KINDS = ("create", "charge", "read")


def _percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def print_latency(title: str, results: list[Result]) -> None:
    """Print p50, p95 and p99 in milliseconds by kind of request."""
    table = Table("request", "sent", "not 200", "p50 ms", "p95 ms", "p99 ms", "max ms", title=title)
    for kind in KINDS:
        rows = [result for result in results if result.kind == kind]
        latencies = [result.latency_s * 1000 for result in rows]
        table.add_row(
            kind,
            str(len(rows)),
            str(sum(not result.ok for result in rows)),
            *(f"{_percentile(latencies, percent):.1f}" for percent in (50, 95, 99, 100)),
        )
    CONSOLE.print(table)


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
        f"p50 {_percentile(latencies, 50):.1f} ms, p95 {_percentile(latencies, 95):.1f} ms, "
        f"p99 {_percentile(latencies, 99):.1f} ms; items per batch since the start: "
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
    """Print what was acknowledged beside what the databases and the networks hold."""
    said: Counter[str] = Counter()
    for result in results:
        if result.ok and result.kind == "create":
            said["intents"] += 1
        if result.ok and result.kind == "charge":
            said[f"charges {result.body['status']}"] += 1
    rows = [row for network in ledgers.values() for row in network]
    held = {
        "intents": _count(status, "intent", "select count(*) from payment_intents"),
        "charges succeeded": _count(
            status, "txn", "select count(*) from transactions where status = 'succeeded'"
        ),
    }
    paid = _count(
        status, "intent", "select count(*) from payment_intents where status = 'succeeded'"
    )
    approved = sum(bool(row["approved"] and not row["reversed"]) for row in rows)
    table = Table("what", "acknowledged", "held", "difference", title="books")
    for name, count in held.items():
        table.add_row(name, str(said[name]), str(count), str(count - said[name]))
    table.add_row(
        "approved by networks",
        str(said["charges succeeded"]),
        str(approved),
        str(approved - said["charges succeeded"]),
    )
    table.add_row(
        "intents succeeded",
        str(said["charges succeeded"]),
        str(paid),
        str(paid - said["charges succeeded"]),
    )
    CONSOLE.print(table)
    return (
        all(said[name] == count for name, count in held.items())
        and approved == paid == said["charges succeeded"]
    )


def _count(status: dict[str, Any], database: str, sql: str) -> int:
    with psycopg.connect(status["databases"][database]) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])
