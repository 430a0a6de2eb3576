"""How long outcomes were unknown, from the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.evidence import Change

UNKNOWN = "timeout"


@dataclass(frozen=True, slots=True)
class Certainty:
    """The end of an attempt that had no answer in time. took_s: since our timeout of it."""

    intent_id: str
    status: str
    took_s: float


def certainties(changes: Iterable[Change]) -> list[Certainty]:
    """Return the ends of all attempts that had no answer in time and have one now.

    Those are left out of which a lost slot held when it was so.
    """
    unknown_since_ms: dict[str, int] = {}
    found = []
    for change in sorted(changes, key=lambda change: (change.partition, change.offset)):
        if change.table != "txn.attempts" or change.after is None or change.is_reread:
            continue
        if change.after == UNKNOWN:
            unknown_since_ms.setdefault(change.id, change.at_ms)
        elif change.before == UNKNOWN and change.id in unknown_since_ms:
            took_s = (change.at_ms - unknown_since_ms[change.id]) / 1000
            found.append(Certainty(change.intent_id, change.after, took_s))
    return found
