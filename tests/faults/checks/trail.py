"""The audit trail and the events in Kafka, against the rules and the databases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from intent_svc.domain import payment_intent as intents
from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Change, Event, Evidence
from txn_svc.domain.attempt import ATTEMPT_TRANSITIONS, AttemptStatus
from txn_svc.domain.transaction import TRANSACTION_TRANSITIONS, TransactionStatus

Placed = TypeVar("Placed", Change, Event)

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
    """The audit trail holds only moves of the domain's tables, in one unbroken row each."""
    violations = []
    last: dict[tuple[str, str], str | None] = {}
    for change in _in_order(evidence.changes):
        move = (change.before, change.after)
        if change.before != change.after and move not in MOVES[change.table]:
            violations.append(Violation(change.id, f"moved {change.before} → {change.after}"))
        was = last.get((change.table, change.id))
        if was != change.before:
            violations.append(
                Violation(change.id, f"was {was}, then moved from {change.before}: a gap")
            )
        last[change.table, change.id] = change.after
    violations += [
        Violation(row_id, f"is {status}, and the audit trail ends at {last.get((table, row_id))}")
        for table, row_id, status in _rows(evidence)
        if last.get((table, row_id)) != status
    ]
    figures = dict(sorted(Counter(change.table for change in evidence.changes).items()))
    return Finding("every transition was legal", figures, violations)


def kafka_has_each_version_once_in_order(evidence: Evidence) -> Finding:
    """Each object's events are there once and by version, up to where the object stands."""
    story: dict[str, list[Event]] = defaultdict(list)
    for event in _in_order_once(evidence):
        story[event.object_id].append(event)
    violations = [*_out_of_order(evidence, story)]
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
    types: dict[str, list[str]] = defaultdict(list)
    for event in _in_order_once(evidence):
        if event.type.startswith("attempt."):
            types[event.object_id].append(event.type)
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
    """Yield the events that tell a status which the object never had at that version."""
    happened = {(change.id, change.version, _told(change.after)) for change in evidence.changes}
    for event in evidence.events:
        if (event.object_id, event.version, event.status) not in happened:
            what = f"{event.type} says {event.status} at version {event.version}: it never was"
            yield Violation(event.object_id, what)


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


def _in_order_once(evidence: Evidence) -> list[Event]:
    """Return the events in order, each where it is first: as many come again as were relayed."""
    in_order = _in_order(evidence.events)
    first: dict[str, Event] = {}
    for event in in_order:
        first.setdefault(event.id, event)
    again = len(in_order) - len(first)
    return [*first.values()] if again <= evidence.relayed else in_order
