"""Measures the sandbox's processes from outside: CPU, memory, batch sizes."""

from __future__ import annotations

import re
import resource
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import psutil

Status = dict[str, Any]
OUTSIDE = ("visa_sim", "mastercard_sim")  # stand for card networks, so they are not our cost


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by process name, children included; `vegeta` is the load generator.

    machine_s: of everything that runs on the machine.
    """

    cpu_s: dict[str, float]
    machine_s: float

    @classmethod
    def now(cls, status: Status) -> Usage:
        """Read what every process has used so far."""
        used = {row["name"]: _cpu_s(row["pid"]) for row in status["processes"]}
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        used["vegeta"] = children.ru_utime + children.ru_stime
        machine = psutil.cpu_times()
        return cls(used, sum(machine) - machine.idle - machine.iowait - machine.guest)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            {name: used - other.cpu_s[name] for name, used in self.cpu_s.items()},
            self.machine_s - other.machine_s,
        )

    @property
    def ours_s(self) -> float:
        """Return the CPU seconds of all that is ours to run."""
        return sum(used for name, used in self.cpu_s.items() if name not in (*OUTSIDE, "vegeta"))


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_s(pid: int) -> float:
    """Return the CPU of a process, its living children and those that have ended."""
    parent, *children = _family(pid)
    times = parent.cpu_times()
    own = times.user + times.system + times.children_user + times.children_system
    return own + sum(sum(child.cpu_times()[:2]) for child in children)


def resident_bytes(status: Status) -> dict[str, int]:
    """Return memory by process name; pages shared by PostgreSQL's processes count once (PSS)."""
    return {
        row["name"]: sum(process.memory_full_info().pss for process in _family(row["pid"]))
        for row in status["processes"]
    }


def settle(status: Status) -> None:
    """Wait until change capture and webhooks have worked off what the load left behind."""
    for _ in range(60):
        before = Usage.now(status)
        time.sleep(1)
        if (Usage.now(status) - before).ours_s < 0.25:
            return


def batch_sizes(status: Status) -> dict[str, float]:
    """Return items per flush since the start, by service and coalescer."""
    sizes = {}
    for row in status["processes"]:
        if "metrics" not in row:
            continue
        with urllib.request.urlopen(row["metrics"]) as answer:
            text = answer.read().decode()
        found: dict[str, dict[str, float]] = {}
        for part, labels, value in re.findall(
            r"^paymesh_batch_items_(sum|count){([^}]*)} (\S+)$", text, re.MULTILINE
        ):
            found.setdefault(labels, {})[part] = float(value)
        for labels, parts in found.items():
            name = re.search(r'coalescer="([^"]+)"|name="([^"]+)"', labels)
            if name and parts.get("count"):
                key = f"{row['name']}.{name[1] or name[2]}"
                sizes[key] = parts["sum"] / parts["count"]
    return sizes
