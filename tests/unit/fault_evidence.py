"""What one payment leaves behind: when all went well, and spoilt in each way a check looks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sandbox.platform.connectors import RUNNING
from tests.faults.evidence import (
    Archived,
    Attempt,
    Break,
    Captured,
    Change,
    Cleared,
    Delivery,
    Endpoint,
    Event,
    Evidence,
    Intent,
    Kept,
    LedgerRow,
    Place,
    Request,
    Step,
    Told,
    Transaction,
)
from tests.faults.plan import Payment

CREATED, PROCESSING, SUCCEEDED = "payment.created", "payment.processing", "payment.succeeded"
PAYMENT = Payment(0, 0, 0.0, 1099, "4242424242424242", None, gives_up=False)


def a_request(step: Step, object_id: str, status: str) -> Request:
    return Request(
        PAYMENT,
        step,
        "mer_1",
        key=f"key-{step}",
        path="/",
        body={},
        tries=1,
        told=Told(200, {"id": object_id, "status": status, "amountApprovedInCents": 1099}),
    )


def a_change(table: str, offset: int, row_id: str, before: str | None, after: str | None) -> Change:
    version = 1 if table == "txn.transactions" else offset + 1
    return Change(table, 0, offset, row_id, "pi_1", before, after, version, at_ms=offset * 1000)


def an_event(topic: str, offset: int, kind: str, object_id: str, status: str) -> Event:
    event_id = f"evt_{object_id}_{offset + 1}"
    return Event(topic, 0, offset, "pi_1", event_id, kind, object_id, offset + 1, status)


def a_delivery(event: Event) -> Delivery:
    return Delivery(
        "mer_1",
        event.id,
        event.type,
        event.object_id,
        event.version,
        event.status,
        is_signed=True,
    )


INTENT_EVENTS = [
    an_event("events.payment_intent", 0, CREATED, "pi_1", "created"),
    an_event("events.payment_intent", 1, PROCESSING, "pi_1", "processing"),
    an_event("events.payment_intent", 2, SUCCEEDED, "pi_1", "succeeded"),
]
ATTEMPT_EVENTS = [
    an_event("events.attempt", 0, "attempt.recorded", "att_1", "recorded"),
    an_event("events.attempt", 1, "attempt.succeeded", "att_1", "succeeded"),
]


TOPIC = "events.attempt/00000"
RECORDS = [Place(0, "one"), Place(1, "two")]
ROW = {"id": "pi_1", "status": "succeeded", "version": 3}


def one_payment() -> Evidence:
    """Return what one payment that went well leaves behind."""
    return Evidence(
        requests=[
            a_request(Step.CREATE, "pi_1", "created"),
            a_request(Step.CHARGE, "txn_1", "succeeded"),
        ],
        intents=[Intent("pi_1", "mer_1", "key-create", "succeeded", 1099, 1099, 1099, 3)],
        transactions=[Transaction("txn_1", "mer_1", "pi_1", "key-charge", "succeeded", 1099)],
        attempts=[Attempt("att_1", "txn_1", "pi_1", "visa_sim", "RRN1", "succeeded", 2)],
        outbox={event.id: 0 for event in (*INTENT_EVENTS, *ATTEMPT_EVENTS)},
        relayed=0,
        ledger=[LedgerRow("visa_sim", "RRN1", 0, 1099, approved=True, reversed=False)],
        changes=[
            a_change("intent.payment_intents", 0, "pi_1", None, "created"),
            a_change("intent.payment_intents", 1, "pi_1", "created", "processing"),
            a_change("intent.payment_intents", 2, "pi_1", "processing", "succeeded"),
            a_change("txn.transactions", 0, "txn_1", None, "pending"),
            a_change("txn.transactions", 1, "txn_1", "pending", "succeeded"),
            a_change("txn.attempts", 0, "att_1", None, "recorded"),
            a_change("txn.attempts", 1, "att_1", "recorded", "succeeded"),
        ],
        events=[*INTENT_EVENTS, *ATTEMPT_EVENTS],
        endpoints=[Endpoint("mer_1", (CREATED, SUCCEEDED))],
        deliveries=[a_delivery(INTENT_EVENTS[0]), a_delivery(INTENT_EVENTS[2])],
        breaks=[],
        cleared=[Cleared("visa_sim", (1, 1099), (1, 1099), (0, 0), (0, 0), (0, 0))],
        archive=Archived({TOPIC: RECORDS}, {TOPIC: RECORDS}, []),
        rows=[
            Kept("intent.payment_intents", "pi_1", dict(ROW), dict(ROW)),
            Kept("txn.transactions", "txn_gone", None, None),
        ],
        gaps=[],
        captures=[Captured("intent", RUNNING, "reserved", 1, frozenset(), frozenset())],
    )


def unsettled(well: Evidence) -> Evidence:
    create, charge = well.requests
    return replace(well, requests=[create, replace(charge, told=None)])


def refused(well: Evidence) -> Evidence:
    create, charge = well.requests
    return replace(well, requests=[create, replace(charge, told=Told(400, {"error": {}}))])


def token_lost(well: Evidence) -> Evidence:
    create, charge = well.requests
    lost = Told(400, {"error": {"code": "card_token_unknown"}})
    return replace(well, requests=[create, replace(charge, told=lost)])


def vanished(well: Evidence) -> Evidence:
    return replace(well, transactions=[])


def made_twice(well: Evidence) -> Evidence:
    [intent] = well.intents
    return replace(well, intents=[intent, replace(intent, id="pi_2")])


def made_twice_unanswered(well: Evidence) -> Evidence:
    create, charge = well.requests
    return replace(well, requests=[create, replace(charge, found_before=["txn_0", "txn_1"])])


def told_otherwise(well: Evidence) -> Evidence:
    create, charge = well.requests
    told = Told(200, {"id": "txn_1", "status": "failed"})
    return replace(well, requests=[create, replace(charge, told=told)])


def in_part(well: Evidence, *, accepts_part: bool = True) -> Evidence:
    """Return the same with a card of which the issuer approved half."""
    payment = replace(PAYMENT, accepts_part=accepts_part)
    create, charge = (replace(request, payment=payment) for request in well.requests)
    told = Told(200, {"id": "txn_1", "status": "succeeded", "amountApprovedInCents": 549})
    [intent], [transaction], [row] = well.intents, well.transactions, well.ledger
    return replace(
        well,
        requests=[create, replace(charge, told=told)],
        intents=[replace(intent, amount_authorized_minor=549, amount_captured_minor=549)],
        transactions=[replace(transaction, approved_minor=549)],
        ledger=[replace(row, captured_minor=549)],
    )


def part_taken_unasked(well: Evidence) -> Evidence:
    return in_part(well, accepts_part=False)


def approved_otherwise(well: Evidence) -> Evidence:
    [transaction] = well.transactions
    return replace(well, transactions=[replace(transaction, approved_minor=549)])


def part_told_as_the_whole(well: Evidence) -> Evidence:
    [intent] = in_part(well).intents
    return replace(in_part(well), intents=[replace(intent, amount_captured_minor=1099)])


def part_still_held(well: Evidence) -> Evidence:
    [intent], [row] = in_part(well).intents, well.ledger
    held = replace(intent, status="authorized", amount_captured_minor=0)
    return replace(
        in_part(well), intents=[held], ledger=[replace(row, held_minor=1099, captured_minor=0)]
    )


def charge_lost(well: Evidence) -> Evidence:
    [intent] = well.intents
    return replace(well, intents=[replace(intent, status="failed", amount_captured_minor=0)])


def charge_invented(well: Evidence) -> Evidence:
    return replace(well, ledger=[])


def charge_unknown_to_us(well: Evidence) -> Evidence:
    stray = LedgerRow("mastercard_sim", "RRN9", 0, 5, approved=True, reversed=False)
    return replace(well, ledger=[*well.ledger, stray])


def charge_of_another_amount(well: Evidence) -> Evidence:
    [row] = well.ledger
    return replace(well, ledger=[replace(row, captured_minor=549)])


def charge_still_held(well: Evidence) -> Evidence:
    [row] = well.ledger
    return replace(well, ledger=[replace(row, held_minor=1099, captured_minor=0)])


def charge_reversed(well: Evidence) -> Evidence:
    [row] = well.ledger
    gone = replace(row, reversed=True, captured_minor=0)
    return replace(well, ledger=[gone])


def charged_twice(well: Evidence) -> Evidence:
    [attempt], [row] = well.attempts, well.ledger
    return replace(
        well,
        attempts=[attempt, replace(attempt, id="att_2", rrn="RRN2")],
        ledger=[row, replace(row, rrn="RRN2")],
    )


def left_open(well: Evidence) -> Evidence:
    [transaction] = well.transactions
    return replace(well, transactions=[replace(transaction, status="pending_verification")])


def left_to_be_released(well: Evidence) -> Evidence:
    [intent] = well.intents
    return replace(well, intents=[replace(intent, status="canceled", is_due=True)])


def left_being_reversed(well: Evidence) -> Evidence:
    [attempt] = well.attempts
    return replace(well, attempts=[replace(attempt, reversal="pending")])


def moved_illegally(well: Evidence) -> Evidence:
    again = a_change("intent.payment_intents", 3, "pi_1", "succeeded", "failed")
    return replace(well, changes=[*well.changes, again])


def change_missing(well: Evidence) -> Evidence:
    return replace(well, changes=[row for row in well.changes if row.after != "processing"])


def last_change_missing(well: Evidence) -> Evidence:
    return replace(well, changes=well.changes[:-1])


def order_turned(well: Evidence) -> Evidence:
    first, second, *others = well.events
    turned = [replace(first, offset=second.offset), replace(second, offset=first.offset)]
    return replace(well, events=[*turned, *others])


def event_lost(well: Evidence) -> Evidence:
    return replace(well, events=[*well.events[:2], *well.events[3:]])


def outcome_untold(well: Evidence) -> Evidence:
    *others, _ = well.events
    return replace(well, events=others, outbox={event.id: 0 for event in others})


def event_twice(well: Evidence) -> Evidence:
    return replace(well, events=[*well.events, replace(well.events[0], offset=9)])


def event_untrue(well: Evidence) -> Evidence:
    *others, last = well.events
    return replace(well, events=[*others, replace(last, status="failed")])


def event_elsewhere(well: Evidence) -> Evidence:
    *others, last = well.events
    return replace(well, events=[*others, replace(last, partition=1)])


def outcome_before_recorded(well: Evidence) -> Evidence:
    *others, recorded, outcome = well.events
    turned = [replace(recorded, offset=1), replace(outcome, offset=0)]
    return replace(well, events=[*others, *turned])


def never_recorded(well: Evidence) -> Evidence:
    return replace(well, events=INTENT_EVENTS)


def webhook_missing(well: Evidence) -> Evidence:
    return replace(well, deliveries=well.deliveries[:1])


def webhook_unsigned(well: Evidence) -> Evidence:
    *others, last = well.deliveries
    return replace(well, deliveries=[*others, replace(last, is_signed=False)])


def webhook_for_nothing(well: Evidence) -> Evidence:
    stray = replace(well.deliveries[0], event_id="evt_9")
    return replace(well, deliveries=[*well.deliveries, stray])


def webhook_untrue(well: Evidence) -> Evidence:
    *others, last = well.deliveries
    return replace(well, deliveries=[*others, replace(last, status="failed")])


def webhook_not_subscribed(well: Evidence) -> Evidence:
    return replace(well, deliveries=[*well.deliveries, a_delivery(INTENT_EVENTS[1])])


def webhook_to_another(well: Evidence) -> Evidence:
    stray = replace(well.deliveries[0], merchant_id="mer_2")
    return replace(
        well,
        endpoints=[*well.endpoints, Endpoint("mer_2", (CREATED,))],
        deliveries=[*well.deliveries, stray],
    )


def with_capture(well: Evidence, **changes: Any) -> Evidence:
    """Return the same with a capture that was taken; changes: of its intent."""
    [intent], [attempt] = well.intents, well.attempts
    capture = replace(a_request(Step.CAPTURE, "pi_1", "processing"), intent_id="pi_1")
    return replace(
        well,
        requests=[*well.requests, capture],
        intents=[replace(intent, **changes)],
        attempts=[attempt, replace(attempt, id="att_2", capture_number=1)],
    )


def capture_lost(well: Evidence) -> Evidence:
    taken = with_capture(well)
    return replace(taken, attempts=taken.attempts[:1])


def captured_twice(well: Evidence) -> Evidence:
    taken = with_capture(well)
    return replace(taken, attempts=[*taken.attempts, replace(taken.attempts[1], id="att_3")])


def captured_otherwise(well: Evidence) -> Evidence:
    return with_capture(well, amount_captured_minor=700)


def captured_after_a_refusal(well: Evidence) -> Evidence:
    """The network took a capture that its merchant was told to be refused."""
    taken = with_capture(well)
    *others, capture = taken.requests
    refused = replace(capture, told=Told(200, {"id": "pi_1", "status": "authorized"}))
    return replace(taken, requests=[*others, refused])


def cancel_lost(well: Evidence) -> Evidence:
    cancel = replace(a_request(Step.CANCEL, "pi_1", "canceled"), intent_id="pi_1")
    return replace(well, requests=[*well.requests, cancel])


def break_unfound(well: Evidence) -> Evidence:
    [row] = well.ledger
    return replace(well, ledger=[replace(row, clearing="missing")])


def break_for_nothing(well: Evidence) -> Evidence:
    return replace(well, breaks=[Break("amount_over", "visa_sim", "pi_1")])


def file_not_tied_out(well: Evidence) -> Evidence:
    [sums] = well.cleared
    return replace(well, cleared=[replace(sums, matched=(1, 1098))])


def line_left_waiting(well: Evidence) -> Evidence:
    [sums] = well.cleared
    return replace(well, cleared=[replace(sums, matched=(0, 0), waiting=(1, 1099))])
