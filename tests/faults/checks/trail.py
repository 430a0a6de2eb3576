"""The audit trail and the events in Kafka, against the rules and the databases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import TypeVar

from intent_svc.domain import payment_intent as intents
from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Change, Event, Evidence, Gap, Name
from txn_svc.domain.attempt import ATTEMPT_TRANSITIONS, AttemptStatus
from txn_svc.domain.transaction import TRANSACTION_TRANSITIONS, TransactionStatus

Placed = TypeVar("Placed", Change, Event)

SERVICES = {"events.payment_intent": "intent", "events.attempt": "txn"}  # who writes a topic
# Legal moves by table; a row that is not there yet, or not any more, is None.
MOVES: dict[str, set[tuple[str | None, str | None]]] = {
    "intent.payment_intents": {
        (None, intents.Status.CREATED),
        *((was, then) for (was, _), then in intents.TRANSITIONS.items()),
    },
    "txn.transactions": {
        (None, TransactionStatus.PENDING),
        (TransactionStatus.PENDING, None),  # given up before anything was recorded to be sent
        *((was, then) for (was, _), then in TRANSACTION_TRANSITIONS.items()),
    },
    "txn.attempts": {
        (None, AttemptStatus.RECORDED),
        *((was, then) for (was, _), then in ATTEMPT_TRANSITIONS.items()),
    },
}


def every_transition_was_legal(evidence: Evidence) -> Finding:
    """The audit trail holds only moves of the domain's tables, in one unbroken row each.

    It is broken only where a lost slot left something out, by what legal moves lead to, and the row
    that the repair names is read again after that.
    """
    violations = []
    last: dict[Name, str | None] = {}
    for change, gap in _with_gaps(evidence):
        was, move = last.get(change.name), (change.before, change.after)
        begins_at = change.after if change.is_reread else change.before
        if change.is_reread and gap is None:
            violations.append(Violation(change.id, "was read again, and no repair names it"))
        is_move = change.before != change.after and not change.is_reread
        if is_move and move not in MOVES[change.table]:
            violations.append(Violation(change.id, f"moved {change.before} → {change.after}"))
        if was != begins_at and not (gap and reaches(change.table, was, begins_at)):
            violations.append(
                Violation(change.id, f"was {was}, then moved from {begins_at}: a gap")
            )
        last[change.name] = change.after
    violations += [
        Violation(row_id, f"is {status}, and the audit trail ends at {last.get((table, row_id))}")
        for table, row_id, status in _rows(evidence)
        if last.get((table, row_id)) != status
    ]
    figures = dict(sorted(Counter(change.table for change in evidence.changes).items()))
    return Finding("every transition was legal", figures, violations)


def reaches(table: str, was: str | None, then: str | None) -> bool:
    """Return whether legal moves lead a row of a table from one status to another, or none does."""
    reached, on_the_way = {was}, [was]
    while on_the_way:
        here = on_the_way.pop()
        further = {end for begin, end in MOVES[table] if begin == here} - reached
        reached |= further
        on_the_way += further
    return then in reached


def kafka_has_each_version_once_in_order(evidence: Evidence) -> Finding:
    """Each object's events are there once and by version, up to where the object stands."""
    violations = [*_out_of_order(evidence, _stories(evidence))]
    violations += _told_otherwise(evidence)
    known = {event.id for event in evidence.events}
    violations += [
        Violation(event_id, "was written and is not in Kafka")
        for event_id in evidence.outbox
        if event_id not in known
    ]
    places: dict[str, set[int]] = defaultdict(set)
    for event in evidence.events:
        places[event.key].add(event.partition)
    violations += [
        Violation(key, f"is spread over partitions {sorted(found)}")
        for key, found in places.items()
        if len(found) > 1
    ]
    figures = {
        "written": len(evidence.outbox),
        "in Kafka": len(evidence.events),
        "relayed": evidence.relayed,
    }
    return Finding("Kafka has each version once, in order", figures, violations)


def every_attempt_was_recorded_before_its_outcome(evidence: Evidence) -> Finding:
    """`attempt.recorded` comes first for each attempt, and nothing was sent without one."""
    types = {
        object_id: [event.type for event in events]
        for object_id, events in _stories(evidence).items()
        if events[0].type.startswith("attempt.")
    }
    violations = [
        Violation(attempt_id, f"has {found}")
        for attempt_id, found in types.items()
        if found[0] != "attempt.recorded" or "attempt.recorded" in found[1:]
    ]
    violations += [
        Violation(row.id, "has no event") for row in evidence.attempts if row.id not in types
    ]
    figures = dict(sorted(Counter(name for found in types.values() for name in found).items()))
    return Finding("every attempt was recorded before its outcome", figures, violations)


def _out_of_order(evidence: Evidence, story: dict[str, list[Event]]) -> Iterator[Violation]:
    for intent in evidence.intents:
        versions = [event.version for event in story[intent.id]]
        if versions != list(range(1, intent.version + 1)):
            yield Violation(intent.id, f"is at version {intent.version}, Kafka has {versions}")
    # Some changes of an attempt are of no concern to others and have no event.
    for attempt in evidence.attempts:
        versions = [event.version for event in story[attempt.id]]
        if versions != sorted(set(versions)):
            yield Violation(attempt.id, f"has versions {versions} in Kafka")
        if not versions or story[attempt.id][-1].status != attempt.status:
            yield Violation(attempt.id, f"is {attempt.status}, and Kafka does not end with that")


def _told_otherwise(evidence: Evidence) -> Iterator[Violation]:
    """Yield the events that tell a status which the object never had at that version.

    What a lost slot held of an object is not known; there it may have what legal moves allow.
    """
    happened = {(change.id, change.version, _told(change.after)) for change in evidence.changes}
    happened |= set(_may_have_happened(evidence))
    for event in evidence.events:
        if (event.object_id, event.version, event.status) not in happened:
            what = f"{event.type} says {event.status} at version {event.version}: it never was"
            yield Violation(event.object_id, what)


def _may_have_happened(evidence: Evidence) -> Iterator[tuple[str, int, str | None]]:
    last: dict[Name, tuple[int, str | None]] = defaultdict(lambda: (0, None))
    for change, gap in _with_gaps(evidence):
        version, was = last[change.name]
        last[change.name] = (change.version, change.after)
        if gap is None:
            continue
        then = change.after if change.is_reread else change.before
        between = {
            status
            for _, status in MOVES[change.table]
            if reaches(change.table, was, status) and reaches(change.table, status, then)
        }
        for hidden, status in product(range(version + 1, change.version), between):
            yield change.id, hidden, _told(status)


def _with_gaps(evidence: Evidence) -> Iterator[tuple[Change, Gap | None]]:
    """Yield each change, and the gap that may be just before it, for its row was read again."""
    gaps = {name: gap for gap in evidence.gaps for name in gap.reread}
    in_order = _in_order(evidence.changes)
    reread = {change.name: change.offset for change in in_order if change.is_reread}
    for change in in_order:
        gap = gaps.get(change.name)
        is_since = gap is not None and change.at_ms >= gap.begun_us // 1000
        yield change, gap if is_since and change.offset <= reread.get(change.name, -1) else None


def _told(status: str | None) -> str | None:
    """Return how events name a status of the database."""
    return intents.PUBLIC_NAMES[intents.Status.CAPTURING] if status == "capturing" else status


def _rows(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    for intent in evidence.intents:
        yield "intent.payment_intents", intent.id, intent.status
    for transaction in evidence.transactions:
        yield "txn.transactions", transaction.id, transaction.status
    for attempt in evidence.attempts:
        yield "txn.attempts", attempt.id, attempt.status


def _in_order(records: Iterable[Placed]) -> list[Placed]:
    return sorted(records, key=lambda record: (record.partition, record.offset))


def _stories(evidence: Evidence) -> dict[str, list[Event]]:
    """Return the events of each object in order.

    By version where they may stand otherwise: what was written just before a repair made a new slot
    comes from the relay, which waits, and so after what was written since and captured.
    """
    stories: dict[str, list[Event]] = defaultdict(list)
    for event in _in_order_once(evidence):
        stories[event.object_id].append(event)
    for events in stories.values():
        turned = [pair for pair in combinations(events, 2) if pair[0].version > pair[1].version]
        if all(_may_be_turned(evidence, *pair) for pair in turned):
            events.sort(key=lambda event: event.version)
    return stories


def _may_be_turned(evidence: Evidence, first: Event, then: Event) -> bool:
    first_us, then_us = (evidence.outbox.get(event.id) for event in (first, then))
    return any(
        first_us is not None
        and then_us is not None
        and gap.service == SERVICES[first.topic]
        and then_us <= gap.ended_us
        and first_us >= gap.begun_us
        for gap in evidence.gaps
    )


def _in_order_once(evidence: Evidence) -> list[Event]:
    """Return the events in order, each where it is first: as many come again as were relayed."""
    in_order = _in_order(evidence.events)
    first: dict[str, Event] = {}
    for event in in_order:
        first.setdefault(event.id, event)
    again = len(in_order) - len(first)
    return [*first.values()] if again <= evidence.relayed else in_order
