"""What merchants were told by webhook, against what happened."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checks.finding import Finding, Violation
from tests.faults.evidence import Event, Evidence

INTENT_EVENTS = "events.payment_intent"


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
