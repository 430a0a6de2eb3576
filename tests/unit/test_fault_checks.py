"""Each check of the fault harness reports what contradicts it, and is silent when all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults import checks
from tests.faults.checks import CHECKS, Finding
from tests.faults.evidence import (
    Attempt,
    Change,
    Delivery,
    Endpoint,
    Event,
    Evidence,
    Intent,
    LedgerRow,
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
        told=Told(200, {"id": object_id, "status": status}),
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


def one_payment() -> Evidence:
    """Return what one payment that went well leaves behind."""
    return Evidence(
        requests=[
            a_request(Step.CREATE, "pi_1", "created"),
            a_request(Step.CHARGE, "txn_1", "succeeded"),
        ],
        intents=[Intent("pi_1", "mer_1", "key-create", "succeeded", 1099, 1099, 3)],
        transactions=[Transaction("txn_1", "mer_1", "pi_1", "key-charge", "succeeded")],
        attempts=[Attempt("att_1", "txn_1", "pi_1", "visa_sim", "RRN1", "succeeded", 2)],
        outbox=[event.id for event in (*INTENT_EVENTS, *ATTEMPT_EVENTS)],
        ledger=[LedgerRow("visa_sim", "RRN1", 1099, approved=True, reversed=False)],
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
    )


def _unsettled(well: Evidence) -> Evidence:
    create, charge = well.requests
    return replace(well, requests=[create, replace(charge, told=None)])


def _refused(well: Evidence) -> Evidence:
    create, charge = well.requests
    return replace(well, requests=[create, replace(charge, told=Told(400, {"error": {}}))])


def _vanished(well: Evidence) -> Evidence:
    return replace(well, transactions=[])


def _made_twice(well: Evidence) -> Evidence:
    [intent] = well.intents
    return replace(well, intents=[intent, replace(intent, id="pi_2")])


def _made_twice_unanswered(well: Evidence) -> Evidence:
    create, charge = well.requests
    return replace(well, requests=[create, replace(charge, found_before=["txn_0", "txn_1"])])


def _told_otherwise(well: Evidence) -> Evidence:
    create, charge = well.requests
    told = Told(200, {"id": "txn_1", "status": "failed"})
    return replace(well, requests=[create, replace(charge, told=told)])


def _charge_lost(well: Evidence) -> Evidence:
    [intent] = well.intents
    return replace(well, intents=[replace(intent, status="failed", amount_captured_minor=0)])


def _charge_invented(well: Evidence) -> Evidence:
    return replace(well, ledger=[])


def _charge_unknown_to_us(well: Evidence) -> Evidence:
    stray = LedgerRow("mastercard_sim", "RRN9", 5, approved=True, reversed=False)
    return replace(well, ledger=[*well.ledger, stray])


def _charge_of_another_amount(well: Evidence) -> Evidence:
    [row] = well.ledger
    return replace(well, ledger=[replace(row, amount_minor=549)])


def _charge_reversed(well: Evidence) -> Evidence:
    [row] = well.ledger
    return replace(well, ledger=[replace(row, reversed=True)])


def _charged_twice(well: Evidence) -> Evidence:
    [attempt], [row] = well.attempts, well.ledger
    return replace(
        well,
        attempts=[attempt, replace(attempt, id="att_2", rrn="RRN2")],
        ledger=[row, replace(row, rrn="RRN2")],
    )


def _left_open(well: Evidence) -> Evidence:
    [transaction] = well.transactions
    return replace(well, transactions=[replace(transaction, status="pending_verification")])


def _left_being_reversed(well: Evidence) -> Evidence:
    [attempt] = well.attempts
    return replace(well, attempts=[replace(attempt, reversal="pending")])


def _moved_illegally(well: Evidence) -> Evidence:
    again = a_change("intent.payment_intents", 3, "pi_1", "succeeded", "failed")
    return replace(well, changes=[*well.changes, again])


def _change_missing(well: Evidence) -> Evidence:
    return replace(well, changes=[row for row in well.changes if row.after != "processing"])


def _last_change_missing(well: Evidence) -> Evidence:
    return replace(well, changes=well.changes[:-1])


def _order_turned(well: Evidence) -> Evidence:
    first, second, *others = well.events
    turned = [replace(first, offset=second.offset), replace(second, offset=first.offset)]
    return replace(well, events=[*turned, *others])


def _event_lost(well: Evidence) -> Evidence:
    return replace(well, events=[*well.events[:2], *well.events[3:]])


def _outcome_untold(well: Evidence) -> Evidence:
    return replace(well, events=well.events[:-1], outbox=well.outbox[:-1])


def _event_twice(well: Evidence) -> Evidence:
    return replace(well, events=[*well.events, replace(well.events[0], offset=9)])


def _event_untrue(well: Evidence) -> Evidence:
    *others, last = well.events
    return replace(well, events=[*others, replace(last, status="failed")])


def _event_elsewhere(well: Evidence) -> Evidence:
    *others, last = well.events
    return replace(well, events=[*others, replace(last, partition=1)])


def _outcome_before_recorded(well: Evidence) -> Evidence:
    *others, recorded, outcome = well.events
    turned = [replace(recorded, offset=1), replace(outcome, offset=0)]
    return replace(well, events=[*others, *turned])


def _never_recorded(well: Evidence) -> Evidence:
    return replace(well, events=INTENT_EVENTS)


def _webhook_missing(well: Evidence) -> Evidence:
    return replace(well, deliveries=well.deliveries[:1])


def _webhook_unsigned(well: Evidence) -> Evidence:
    *others, last = well.deliveries
    return replace(well, deliveries=[*others, replace(last, is_signed=False)])


def _webhook_for_nothing(well: Evidence) -> Evidence:
    stray = replace(well.deliveries[0], event_id="evt_9")
    return replace(well, deliveries=[*well.deliveries, stray])


def _webhook_untrue(well: Evidence) -> Evidence:
    *others, last = well.deliveries
    return replace(well, deliveries=[*others, replace(last, status="failed")])


def _webhook_not_subscribed(well: Evidence) -> Evidence:
    return replace(well, deliveries=[*well.deliveries, a_delivery(INTENT_EVENTS[1])])


def _webhook_to_another(well: Evidence) -> Evidence:
    stray = replace(well.deliveries[0], merchant_id="mer_2")
    return replace(
        well,
        endpoints=[*well.endpoints, Endpoint("mer_2", (CREATED,))],
        deliveries=[*well.deliveries, stray],
    )


VIOLATIONS: list[tuple[Callable[[Evidence], Evidence], Callable[[Evidence], Finding], str]] = [
    (_unsettled, checks.every_request_is_done_once_or_never, "key-charge"),
    (_refused, checks.every_request_is_done_once_or_never, "key-charge"),
    (_vanished, checks.every_request_is_done_once_or_never, "key-charge"),
    (_made_twice, checks.every_request_is_done_once_or_never, "key-create"),
    (_made_twice_unanswered, checks.every_request_is_done_once_or_never, "key-charge"),
    (_told_otherwise, checks.what_a_merchant_was_told_stays_true, "txn_1"),
    (_vanished, checks.what_a_merchant_was_told_stays_true, "txn_1"),
    (_charge_lost, checks.our_books_equal_the_networks_books, "pi_1"),
    (_charge_invented, checks.our_books_equal_the_networks_books, "pi_1"),
    (_charge_unknown_to_us, checks.our_books_equal_the_networks_books, "mastercard_sim RRN9"),
    (_charge_of_another_amount, checks.our_books_equal_the_networks_books, "pi_1"),
    (_charge_reversed, checks.our_books_equal_the_networks_books, "pi_1"),
    (_charged_twice, checks.our_books_equal_the_networks_books, "pi_1"),
    (_charged_twice, checks.no_payment_is_charged_twice, "pi_1"),
    (_left_open, checks.nothing_is_left_open, "txn_1"),
    (_left_being_reversed, checks.nothing_is_left_open, "att_1"),
    (_moved_illegally, checks.every_transition_was_legal, "pi_1"),
    (_change_missing, checks.every_transition_was_legal, "pi_1"),
    (_last_change_missing, checks.every_transition_was_legal, "att_1"),
    (_order_turned, checks.kafka_has_each_version_once_in_order, "pi_1"),
    (_event_lost, checks.kafka_has_each_version_once_in_order, "pi_1"),
    (_event_lost, checks.kafka_has_each_version_once_in_order, "evt_pi_1_3"),
    (_outcome_untold, checks.kafka_has_each_version_once_in_order, "att_1"),
    (_event_twice, checks.kafka_has_each_version_once_in_order, "pi_1"),
    (_event_untrue, checks.kafka_has_each_version_once_in_order, "att_1"),
    (_event_elsewhere, checks.kafka_has_each_version_once_in_order, "pi_1"),
    (_outcome_before_recorded, checks.every_attempt_was_recorded_before_its_outcome, "att_1"),
    (_never_recorded, checks.every_attempt_was_recorded_before_its_outcome, "att_1"),
    (_webhook_missing, checks.webhooks_tell_all_that_happened_and_nothing_else, "pi_1"),
    (
        _webhook_unsigned,
        checks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_3",
    ),
    (_webhook_for_nothing, checks.webhooks_tell_all_that_happened_and_nothing_else, "evt_9"),
    (_webhook_untrue, checks.webhooks_tell_all_that_happened_and_nothing_else, "evt_pi_1_3"),
    (
        _webhook_not_subscribed,
        checks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_2",
    ),
    (
        _webhook_to_another,
        checks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_1",
    ),
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_payment_that_went_well_violates_nothing(check: Callable[[Evidence], Finding]) -> None:
    finding = check(one_payment())

    assert finding.violations == []
    assert finding.figures


@pytest.mark.parametrize(
    ("spoil", "check", "offender"),
    [
        pytest.param(spoil, check, offender, id=f"{spoil.__name__[1:]}-{offender}-{check.__name__}")
        for spoil, check, offender in VIOLATIONS
    ],
)
def test_what_contradicts_a_check_is_reported_by_id(
    spoil: Callable[[Evidence], Evidence], check: Callable[[Evidence], Finding], offender: str
) -> None:
    assert offender in [violation.id for violation in check(spoil(one_payment())).violations]


def test_each_check_has_a_violation_in_the_table() -> None:
    assert {check for _, check, _ in VIOLATIONS} == set(CHECKS)


def test_a_reversed_approval_and_a_charge_that_was_given_up_are_no_violations() -> None:
    well = one_payment()
    attempt = replace(well.attempts[0], id="att_2", rrn="RRN2")
    reversed_row = LedgerRow("visa_sim", "RRN2", 1099, approved=True, reversed=True)
    given_up = [
        a_change("txn.transactions", 3, "txn_2", None, "pending"),
        a_change("txn.transactions", 4, "txn_2", "pending", None),
    ]
    abandoned = [
        a_change("txn.transactions", 5, "txn_3", None, "pending"),
        a_change("txn.transactions", 6, "txn_3", "pending", "failed"),
    ]
    told = replace(
        an_event("events.attempt", 9, "transaction.abandoned", "txn_3", "failed"), version=1
    )
    both = replace(
        well,
        attempts=[*well.attempts, attempt],
        ledger=[*well.ledger, reversed_row],
        transactions=[
            *well.transactions,
            Transaction("txn_3", "mer_1", "pi_1", "key-3", "failed"),
        ],
        changes=[*well.changes, *given_up, *abandoned],
        events=[*well.events, told],
    )

    assert checks.our_books_equal_the_networks_books(both).violations == []
    assert checks.no_payment_is_charged_twice(both).violations == []
    order = checks.kafka_has_each_version_once_in_order(both)
    assert {row.id for row in order.violations} == {"att_2"}  # made up without its events
    assert {row.id for row in checks.every_transition_was_legal(both).violations} == {"att_2"}
