"""What must hold after every run: each check looks at the evidence and names what contradicts it.

A check is a function of the evidence in `CHECKS`; its name is its sentence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from intent_svc import domain as intents
from tests.faults.evidence import Attempt, Change, Event, Evidence, Intent, Step, Transaction
from txn_svc.domain.attempt import ATTEMPT_TRANSITIONS, AttemptStatus
from txn_svc.domain.transaction import TRANSACTION_TRANSITIONS, TransactionStatus

Placed = TypeVar("Placed", Change, Event)

INTENT_EVENTS = "events.payment_intent"

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


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be. id: what it is about."""

    id: str
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to. figures: what was counted on the way."""

    name: str
    figures: dict[str, int]
    violations: list[Violation]


def every_request_is_done_once_or_never(evidence: Evidence) -> Finding:
    """Each request answered OK made one thing, each other one at most; asking again settles it."""
    violations = []
    made = _made_by_request(evidence)
    for request in evidence.requests:
        told, found = request.last_told, made[request.key]
        if told is None:
            violations.append(Violation(request.key, "asking again did not settle it"))
        elif not told.is_ok:
            violations.append(Violation(request.key, f"refused: {told.status} {told.body}"))
        elif found != [told.object_id]:
            violations.append(
                Violation(request.key, f"answered with {told.object_id}, and there is {found}")
            )
        if len(request.found_before) > 1:
            violations.append(Violation(request.key, f"made {request.found_before} unanswered"))
    unanswered = [request for request in evidence.requests if request.told is None]
    figures = {
        "requests": len(evidence.requests),
        "answered OK": sum(bool(row.told and row.told.is_ok) for row in evidence.requests),
        "sent more than once": sum(row.tries > 1 for row in evidence.requests),
        "unanswered until healed": len(unanswered),
        "of these done already": sum(bool(row.found_before) for row in unanswered),
    }
    return Finding("every request is done once or never", figures, violations)


def what_a_merchant_was_told_stays_true(evidence: Evidence) -> Finding:
    """A charge that was answered as succeeded or failed is that, now and for ever."""
    status_by_id = {row.id: row.status for row in evidence.transactions}
    counted: Counter[str] = Counter()
    violations = []
    for request in evidence.requests:
        told = request.last_told
        if request.step is Step.CREATE or told is None or not told.is_ok:
            continue
        said, now = str(told.body["status"]), status_by_id.get(told.object_id)
        counted[f"told {said}"] += 1
        if said not in ("pending_verification", now):
            violations.append(Violation(told.object_id, f"told {said}, and it is {now}"))
    return Finding("what a merchant was told stays true", dict(counted), violations)


def our_books_equal_the_networks_books(evidence: Evidence) -> Finding:
    """For each payment the networks' ledgers and ours say the same, to the cent."""
    charged, violations = _charged_by_intent(evidence)
    ours = {
        row.id: row.amount_minor if row.status == "authorized" else row.amount_captured_minor
        for row in evidence.intents
    }
    for intent in evidence.intents:
        theirs = sum(charged[intent.id])
        if theirs != ours[intent.id]:
            violations.append(
                Violation(
                    intent.id,
                    f"the network charged {theirs}, we say {ours[intent.id]} ({intent.status})",
                )
            )
    figures = {
        "payments": len(evidence.intents),
        "charged by us": sum(amount > 0 for amount in ours.values()),
        "charged by networks": sum(row.is_charged for row in evidence.ledger),
        "reversed by networks": sum(row.reversed for row in evidence.ledger),
        "our minor units": sum(ours.values()),
        "their minor units": sum(row.amount_minor for row in evidence.ledger if row.is_charged),
    }
    return Finding("our books equal the networks' books", figures, violations)


def no_payment_is_charged_twice(evidence: Evidence) -> Finding:
    """No payment has two authorizations that a network approved and did not reverse."""
    charged, _ = _charged_by_intent(evidence)
    violations = [
        Violation(intent_id, f"charged {len(amounts)} times: {amounts}")
        for intent_id, amounts in charged.items()
        if len(amounts) > 1
    ]
    figures = {"payments charged": sum(bool(amounts) for amounts in charged.values())}
    return Finding("no payment is charged twice", figures, violations)


def nothing_is_left_open(evidence: Evidence) -> Finding:
    """No intent, transaction or attempt still waits for an outcome."""
    rows: list[tuple[str, Intent | Transaction | Attempt]] = [
        *(("intent", row) for row in evidence.intents),
        *(("transaction", row) for row in evidence.transactions),
        *(("attempt", row) for row in evidence.attempts),
    ]
    violations = [
        Violation(row.id, f"the {kind} is left open: {row.status}")
        for kind, row in rows
        if row.is_open
    ]
    counted = Counter(f"{kind} {row.status}" for kind, row in rows)
    counted.update(f"reversal {row.reversal}" for row in evidence.attempts if row.reversal)
    return Finding("nothing is left open", dict(sorted(counted.items())), violations)


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
    for event in _in_order(evidence.events):
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
    figures = {"written": len(evidence.outbox), "in Kafka": len(evidence.events)}
    return Finding("Kafka has each version once, in order", figures, violations)


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


def every_attempt_was_recorded_before_its_outcome(evidence: Evidence) -> Finding:
    """`attempt.recorded` comes first for each attempt, and nothing was sent without one."""
    types: dict[str, list[str]] = defaultdict(list)
    for event in _in_order(evidence.events):
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


def webhooks_tell_all_that_happened_and_nothing_else(evidence: Evidence) -> Finding:
    """Each subscribed event arrived with a valid signature, and none that never was."""
    figures = {
        "subscribed events": sum(1 for _ in _subscribed(evidence)),
        "deliveries": len(evidence.deliveries),
    }
    violations = [*_never_told(evidence), *_told_wrongly(evidence)]
    return Finding("webhooks tell all that happened and nothing else", figures, violations)


def _subscribed(evidence: Evidence) -> Iterator[tuple[str, Event]]:
    owner_by_intent = {row.id: row.merchant_id for row in evidence.intents}
    for endpoint in evidence.endpoints:
        for event in evidence.events:
            is_mine = owner_by_intent.get(event.object_id) == endpoint.merchant_id
            if event.topic == INTENT_EVENTS and is_mine and event.type in endpoint.types:
                yield endpoint.merchant_id, event


def _never_told(evidence: Evidence) -> Iterator[Violation]:
    arrived = {(row.merchant_id, row.event_id) for row in evidence.deliveries if row.is_signed}
    for merchant_id, event in _subscribed(evidence):
        if (merchant_id, event.id) not in arrived:
            yield Violation(event.object_id, f"{event.type} ({event.id}) was never told")


def _told_wrongly(evidence: Evidence) -> Iterator[Violation]:
    expected = {(owner, event.id): event for owner, event in _subscribed(evidence)}
    for told in evidence.deliveries:
        event = expected.get((told.merchant_id, told.event_id))
        if not told.is_signed:
            yield Violation(told.event_id, "came without a valid signature")
        elif event is None:
            yield Violation(told.event_id, f"told {told.type}, which is nothing for this merchant")
        elif (told.type, told.intent_id, told.version, told.status) != (
            event.type,
            event.object_id,
            event.version,
            event.status,
        ):
            yield Violation(told.event_id, f"told {told.type} otherwise than it happened")


def _made_by_request(evidence: Evidence) -> dict[str, list[str]]:
    """Return the ids of what there is for each request, by its key."""
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    for intent in evidence.intents:
        made[intent.merchant_id, intent.description].append(intent.id)
    for transaction in evidence.transactions:
        made[transaction.merchant_id, transaction.key].append(transaction.id)
    return {request.key: made[request.merchant_id, request.key] for request in evidence.requests}


def _charged_by_intent(evidence: Evidence) -> tuple[dict[str, list[int]], list[Violation]]:
    """Return the amounts that networks charged, and what they charged for no attempt of ours."""
    intent_by_trace = {(row.network, row.rrn): row.intent_id for row in evidence.attempts}
    charged: dict[str, list[int]] = defaultdict(list)
    lost = []
    for row in evidence.ledger:
        intent_id = intent_by_trace.get((row.network, row.rrn))
        if not row.is_charged:
            continue
        if intent_id is None:
            lost.append(Violation(f"{row.network} {row.rrn}", "was charged, and is unknown to us"))
        else:
            charged[intent_id].append(row.amount_minor)
    return charged, lost


def _told_otherwise(evidence: Evidence) -> Iterator[Violation]:
    """Yield the events that tell a status which the object never had at that version."""
    happened = {(change.id, change.version, change.after) for change in evidence.changes}
    for event in evidence.events:
        if (event.object_id, event.version, event.status) not in happened:
            what = f"{event.type} says {event.status} at version {event.version}: it never was"
            yield Violation(event.object_id, what)


def _rows(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    for intent in evidence.intents:
        yield "intent.payment_intents", intent.id, intent.status
    for transaction in evidence.transactions:
        yield "txn.transactions", transaction.id, transaction.status
    for attempt in evidence.attempts:
        yield "txn.attempts", attempt.id, attempt.status


def _in_order(records: Iterable[Placed]) -> list[Placed]:
    return sorted(records, key=lambda record: (record.partition, record.offset))


CHECKS: tuple[Callable[[Evidence], Finding], ...] = (
    every_request_is_done_once_or_never,
    what_a_merchant_was_told_stays_true,
    our_books_equal_the_networks_books,
    no_payment_is_charged_twice,
    nothing_is_left_open,
    every_transition_was_legal,
    kafka_has_each_version_once_in_order,
    every_attempt_was_recorded_before_its_outcome,
    webhooks_tell_all_that_happened_and_nothing_else,
)
