"""What must hold after every run: each check names what in the evidence contradicts it.

A check is a function of the evidence in `CHECKS`; its name is its sentence.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.checks.archive import (
    every_history_ends_as_the_databases_are,
    the_archive_holds_everything_once_in_order,
)
from tests.faults.checks.books import (
    clearing_files_show_what_cards_caused_and_nothing_else,
    no_payment_is_charged_twice,
    nothing_is_left_open,
    our_books_equal_the_networks_books,
)
from tests.faults.checks.capture import what_a_lost_slot_held_is_read_again_and_named
from tests.faults.checks.finding import Finding
from tests.faults.checks.requests import (
    every_request_is_done_once_or_never,
    what_a_merchant_was_told_stays_true,
)
from tests.faults.checks.trail import (
    every_attempt_was_recorded_before_its_outcome,
    every_transition_was_legal,
    kafka_has_each_version_once_in_order,
)
from tests.faults.checks.webhooks import webhooks_tell_all_that_happened_and_nothing_else
from tests.faults.evidence import Evidence

CHECKS: tuple[Callable[[Evidence], Finding], ...] = (
    every_request_is_done_once_or_never,
    what_a_merchant_was_told_stays_true,
    our_books_equal_the_networks_books,
    no_payment_is_charged_twice,
    nothing_is_left_open,
    every_transition_was_legal,
    kafka_has_each_version_once_in_order,
    every_attempt_was_recorded_before_its_outcome,
    the_archive_holds_everything_once_in_order,
    every_history_ends_as_the_databases_are,
    what_a_lost_slot_held_is_read_again_and_named,
    webhooks_tell_all_that_happened_and_nothing_else,
    clearing_files_show_what_cards_caused_and_nothing_else,
)
