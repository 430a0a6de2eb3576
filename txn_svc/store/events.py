"""Outbox rows of attempts: what the rest of the mesh is told of a change, in the same statement."""

from __future__ import annotations

from chassis.clock import Clock
from chassis.ids import new_id
from txn_svc.domain.attempt import event_type
from txn_svc.messages import attempt_event
from txn_svc.store.rows import Item, Move, Step


def recorded_item(step: Step, clock: Clock) -> Item:
    """Return the part of RECORD's item that tells of a new attempt."""
    event = attempt_event(step.transaction, step.attempt, "attempt.recorded", *_named(step, clock))
    return {
        "event_id": event.id,
        "event": event.SerializeToString(),
        "traceparent": step.traceparent,
    }


def moved_item(move: Move, clock: Clock) -> Item:
    """Return the part of MOVE's item that tells of a change, if it is of any concern."""
    type_ = event_type(move.was, move.attempt)
    if type_ is None:
        return {}
    event = attempt_event(move.transaction, move.attempt, type_, *_named(move, clock))
    return {
        "event_id": event.id,
        "event_type": type_,
        "event": event.SerializeToString(),
        "traceparent": move.traceparent,
    }


def _named(change: Step | Move, clock: Clock) -> tuple[str, int]:
    return new_id("evt", change.attempt.merchant_id), int(clock.now().timestamp())
