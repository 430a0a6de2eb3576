"""Each check of the fault harness reports what contradicts it, and is silent when all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checks import CHECKS, archive, books, capture, requests, trail, webhooks
from tests.faults.checks.finding import Finding
from tests.faults.evidence import (
    Break,
    Evidence,
    LedgerRow,
    Step,
    Told,
    Transaction,
)
from tests.unit import fault_archive, fault_gap
from tests.unit import fault_evidence as spoilt

VIOLATIONS: list[tuple[Callable[[Evidence], Evidence], Callable[[Evidence], Finding], str]] = [
    (spoilt.unsettled, requests.every_request_is_done_once_or_never, "key-charge"),
    (spoilt.refused, requests.every_request_is_done_once_or_never, "key-charge"),
    (spoilt.token_lost, requests.every_request_is_done_once_or_never, "key-charge"),
    (spoilt.vanished, requests.every_request_is_done_once_or_never, "key-charge"),
    (spoilt.made_twice, requests.every_request_is_done_once_or_never, "key-create"),
    (spoilt.made_twice_unanswered, requests.every_request_is_done_once_or_never, "key-charge"),
    (spoilt.told_otherwise, requests.what_a_merchant_was_told_stays_true, "txn_1"),
    (spoilt.vanished, requests.what_a_merchant_was_told_stays_true, "txn_1"),
    (spoilt.part_taken_unasked, requests.what_a_merchant_was_told_stays_true, "txn_1"),
    (spoilt.approved_otherwise, requests.what_a_merchant_was_told_stays_true, "txn_1"),
    (spoilt.part_told_as_the_whole, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.part_still_held, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charge_lost, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charge_invented, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charge_unknown_to_us, books.our_books_equal_the_networks_books, "mastercard_sim RRN9"),
    (spoilt.capture_lost, requests.every_request_is_done_once_or_never, "key-capture"),
    (spoilt.captured_twice, requests.every_request_is_done_once_or_never, "key-capture"),
    (spoilt.cancel_lost, requests.every_request_is_done_once_or_never, "key-cancel"),
    (spoilt.captured_otherwise, requests.what_a_merchant_was_told_stays_true, "pi_1"),
    (spoilt.captured_after_a_refusal, requests.what_a_merchant_was_told_stays_true, "pi_1"),
    (spoilt.cancel_lost, requests.what_a_merchant_was_told_stays_true, "pi_1"),
    (spoilt.break_unfound, books.clearing_files_show_what_cards_caused_and_nothing_else, "pi_1"),
    (
        spoilt.break_for_nothing,
        books.clearing_files_show_what_cards_caused_and_nothing_else,
        "pi_1",
    ),
    (
        spoilt.file_not_tied_out,
        books.clearing_files_show_what_cards_caused_and_nothing_else,
        "visa_sim",
    ),
    (
        spoilt.line_left_waiting,
        books.clearing_files_show_what_cards_caused_and_nothing_else,
        "visa_sim",
    ),
    (fault_archive.archive_cut, archive.the_archive_holds_everything_once_in_order, spoilt.TOPIC),
    (
        fault_archive.archive_repeats,
        archive.the_archive_holds_everything_once_in_order,
        spoilt.TOPIC,
    ),
    (fault_archive.archive_broken, archive.the_archive_holds_everything_once_in_order, "data/x"),
    *(
        (spoil, archive.every_history_ends_as_the_databases_are, "pi_1")
        for spoil in (
            *(fault_archive.told_with_other_values, fault_archive.told_without_a_column),
            *(
                fault_archive.told_by_no_history,
                fault_archive.told_and_not_kept,
                fault_archive.told_with_a_gap,
            ),
        )
    ),
    *(
        (spoil, capture.what_a_lost_slot_held_is_read_again_and_named, offender)
        for spoil, offender in (
            (fault_gap.reread_by_nobody, "pi_1"),
            (fault_gap.reread_unnamed, "pi_1"),
            (fault_gap.changed_in_an_unnamed_minute, "pi_1"),
            (fault_gap.named_without_a_minute, "intent"),
            (fault_gap.repair_failed, "intent"),
            (fault_gap.slot_not_made_anew, "intent"),
            (fault_gap.slot_lost_unmended, "intent"),
            (fault_gap.connector_failed, "intent"),
            (fault_gap.still_missing, "pi_1"),
            (fault_gap.gone_unnamed, "pi_1"),
            (fault_gap.gone_though_never_deleted, "pi_1"),
            (fault_gap.told_as_reread_for_nothing, "pi_1"),
        )
    ),
    *(
        (spoil, trail.every_transition_was_legal, "pi_1")
        for spoil in (
            *(fault_gap.reread_by_nobody, fault_gap.reread_unnamed),
            *(fault_gap.reread_as_what_it_can_not_be, fault_gap.reread_before_the_last_gap),
            fault_gap.torn_before_the_repair,
        )
    ),
    (fault_gap.told_what_can_not_have_been, trail.kafka_has_each_version_once_in_order, "pi_1"),
    (fault_gap.reread_unnamed, trail.kafka_has_each_version_once_in_order, "pi_1"),
    *(
        (spoil, check, "att_1")
        for spoil in (
            *(fault_gap.outcome_overtakes_later, fault_gap.outcome_overtakes_earlier),
            fault_gap.outcome_overtakes_elsewhere,
        )
        for check in (
            trail.kafka_has_each_version_once_in_order,
            trail.every_attempt_was_recorded_before_its_outcome,
        )
    ),
    (spoilt.charge_still_held, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charge_of_another_amount, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charge_reversed, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charged_twice, books.our_books_equal_the_networks_books, "pi_1"),
    (spoilt.charged_twice, books.no_payment_is_charged_twice, "pi_1"),
    (spoilt.left_open, books.nothing_is_left_open, "txn_1"),
    (spoilt.left_to_be_released, books.nothing_is_left_open, "pi_1"),
    (spoilt.left_being_reversed, books.nothing_is_left_open, "att_1"),
    (spoilt.moved_illegally, trail.every_transition_was_legal, "pi_1"),
    (spoilt.change_missing, trail.every_transition_was_legal, "pi_1"),
    (spoilt.last_change_missing, trail.every_transition_was_legal, "att_1"),
    (spoilt.order_turned, trail.kafka_has_each_version_once_in_order, "pi_1"),
    (spoilt.event_lost, trail.kafka_has_each_version_once_in_order, "pi_1"),
    (spoilt.event_lost, trail.kafka_has_each_version_once_in_order, "evt_pi_1_3"),
    (spoilt.outcome_untold, trail.kafka_has_each_version_once_in_order, "att_1"),
    (spoilt.event_twice, trail.kafka_has_each_version_once_in_order, "pi_1"),
    (spoilt.event_untrue, trail.kafka_has_each_version_once_in_order, "att_1"),
    (spoilt.event_elsewhere, trail.kafka_has_each_version_once_in_order, "pi_1"),
    (spoilt.outcome_before_recorded, trail.every_attempt_was_recorded_before_its_outcome, "att_1"),
    (spoilt.never_recorded, trail.every_attempt_was_recorded_before_its_outcome, "att_1"),
    (spoilt.webhook_missing, webhooks.webhooks_tell_all_that_happened_and_nothing_else, "pi_1"),
    (
        spoilt.webhook_unsigned,
        webhooks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_3",
    ),
    (
        spoilt.webhook_for_nothing,
        webhooks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_9",
    ),
    (
        spoilt.webhook_untrue,
        webhooks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_3",
    ),
    (
        spoilt.webhook_not_subscribed,
        webhooks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_2",
    ),
    (
        spoilt.webhook_to_another,
        webhooks.webhooks_tell_all_that_happened_and_nothing_else,
        "evt_pi_1_1",
    ),
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_payment_that_went_well_violates_nothing(check: Callable[[Evidence], Finding]) -> None:
    finding = check(spoilt.one_payment())

    assert finding.violations == []
    assert finding.figures


@pytest.mark.parametrize(
    ("spoil", "check", "offender"),
    [
        pytest.param(spoil, check, offender, id=f"{spoil.__name__}-{offender}-{check.__name__}")
        for spoil, check, offender in VIOLATIONS
    ],
)
def test_what_contradicts_a_check_is_reported_by_id(
    spoil: Callable[[Evidence], Evidence], check: Callable[[Evidence], Finding], offender: str
) -> None:
    assert offender in [violation.id for violation in check(spoil(spoilt.one_payment())).violations]


def test_each_check_has_a_violation_in_the_table() -> None:
    assert {check for _, check, _ in VIOLATIONS} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("well", fault_gap.WELL)
def test_a_lost_slot_that_is_mended_violates_nothing(
    well: Evidence, check: Callable[[Evidence], Finding]
) -> None:
    assert check(well).violations == []


@pytest.mark.parametrize("check", CHECKS)
def test_a_part_that_its_merchant_accepts_is_no_violation(
    check: Callable[[Evidence], Finding],
) -> None:
    assert check(spoilt.in_part(spoilt.one_payment())).violations == []


def test_a_lost_token_for_which_nothing_was_charged_is_no_violation() -> None:
    lost = spoilt.vanished(spoilt.token_lost(spoilt.one_payment()))

    finding = requests.every_request_is_done_once_or_never(lost)

    assert (finding.violations, finding.figures["tokens lost"]) == ([], 1)


def test_events_that_were_relayed_may_come_again_and_no_more_of_them() -> None:
    well = spoilt.one_payment()
    recorded = well.events[3]
    again = replace(well, events=[*well.events, replace(recorded, offset=9)])

    for check in (
        trail.kafka_has_each_version_once_in_order,
        trail.every_attempt_was_recorded_before_its_outcome,
    ):
        assert check(replace(again, relayed=1)).violations == []
        assert check(again).violations


def test_a_capture_that_was_taken_is_no_violation() -> None:
    taken = spoilt.with_capture(spoilt.one_payment())

    assert requests.every_request_is_done_once_or_never(taken).violations == []
    assert requests.what_a_merchant_was_told_stays_true(taken).violations == []


def test_a_capture_that_was_refused_and_tried_again_is_no_violation() -> None:
    taken = spoilt.with_capture(spoilt.one_payment())
    *others, capture = taken.requests
    authorization, first = taken.attempts
    refused = replace(capture, told=Told(200, {"id": "pi_1", "status": "authorized"}))
    again = replace(capture, step=Step.CAPTURE_AGAIN, key="key-capture-again")
    both = replace(
        taken,
        requests=[*others, refused, again],
        attempts=[
            authorization,
            replace(first, status="failed"),
            replace(first, id="att_3", capture_number=2),
        ],
    )

    assert requests.every_request_is_done_once_or_never(both).violations == []
    assert requests.what_a_merchant_was_told_stays_true(both).violations == []


def test_a_break_that_a_card_caused_is_no_violation() -> None:
    found = replace(
        spoilt.break_unfound(spoilt.one_payment()),
        breaks=[Break("missing_at_network", "visa_sim", "pi_1")],
    )

    assert books.clearing_files_show_what_cards_caused_and_nothing_else(found).violations == []


def test_a_reversed_approval_and_a_charge_that_was_given_up_are_no_violations() -> None:
    well = spoilt.one_payment()
    attempt = replace(well.attempts[0], id="att_2", rrn="RRN2")
    reversed_row = LedgerRow("visa_sim", "RRN2", 0, 0, approved=True, reversed=True)
    given_up = [
        spoilt.a_change("txn.transactions", 3, "txn_2", None, "pending"),
        spoilt.a_change("txn.transactions", 4, "txn_2", "pending", None),
    ]
    abandoned = [
        spoilt.a_change("txn.transactions", 5, "txn_3", None, "pending"),
        spoilt.a_change("txn.transactions", 6, "txn_3", "pending", "failed"),
    ]
    told = replace(
        spoilt.an_event("events.attempt", 9, "transaction.abandoned", "txn_3", "failed"), version=1
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

    assert books.our_books_equal_the_networks_books(both).violations == []
    assert books.no_payment_is_charged_twice(both).violations == []
    order = trail.kafka_has_each_version_once_in_order(both)
    assert {row.id for row in order.violations} == {"att_2"}  # made up without its events
    assert {row.id for row in trail.every_transition_was_legal(both).violations} == {"att_2"}
