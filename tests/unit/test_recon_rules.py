"""What reconciliation does about an attempt without an answer, and the networks' rules as data."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from chassis.networks import (
    ClearingRule,
    InquiryRule,
    NetworkRules,
    ReversalRule,
    read_network_rules,
)
from recon_svc.domain.resolution import (
    GRACE_S,
    Action,
    AttemptStatus,
    Said,
    ask_again_after_s,
    becomes_certain,
    is_failed_when_not_found,
    next_action,
    resolve_after,
)
from tests.integration.recon_parts import DEADLINE, an_attempt

ROOT = Path(__file__).resolve().parents[2]
REVERSAL = ReversalRule(repeat_s=(0.5, 1), then_every_s=60)
CLEARING = ClearingRule(cut_off="on_request", late_after_h=0)
SILENT = NetworkRules(timeout_s=2, reversal=REVERSAL, clearing=CLEARING, capture_deadline_h=168)
ASKABLE = NetworkRules(
    timeout_s=2,
    inquiry=InquiryRule(backoff_s=(0.5, 1, 4), not_found_is_failed_after_s=5),
    reversal=REVERSAL,
    clearing=CLEARING,
    capture_deadline_h=168,
)
WINDOW = "visa_sim.inquiry.not_found_is_failed_after_s"
GOOD = """
visa_sim:
  timeout_s: 2
  inquiry: {backoff_s: [0.5], not_found_is_failed_after_s: 5}
  reversal: {repeat_s: [0.5, 1], then_every_s: 60}
  clearing: {cut_off: on_request, late_after_h: 0}
  capture_deadline_h: 168
"""


@pytest.mark.parametrize(
    ("status", "reversal", "due"),
    [
        (AttemptStatus.RECORDED, None, DEADLINE + GRACE_S),
        (AttemptStatus.TIMEOUT, None, 0.0),
        (AttemptStatus.TIMEOUT, "pending", None),
        (AttemptStatus.TIMEOUT, "overdue", None),
        (AttemptStatus.SUCCEEDED, None, None),
        (AttemptStatus.FAILED, None, None),
        (AttemptStatus.FAILED, "pending", None),
        (AttemptStatus.REVERSED, "acknowledged", None),
    ],
)
def test_something_is_done_only_about_what_is_unanswered_and_not_being_undone(
    status: AttemptStatus, reversal: str | None, due: float | None
) -> None:
    assert resolve_after(an_attempt(status=status, reversal=reversal)) == due


@pytest.mark.parametrize(
    ("event_type", "status", "is_end"),
    [
        ("attempt.recorded", "recorded", False),
        ("attempt.timeout", "timeout", False),
        ("attempt.succeeded", "succeeded", False),
        ("attempt.failed", "failed", False),
        ("attempt.resolved", "succeeded", True),
        ("attempt.resolved", "failed", True),
        ("attempt.reversed", "reversed", True),
        ("attempt.reversed", "failed", False),
        ("transaction.abandoned", "unspecified", False),
    ],
)
def test_certainty_is_late_only_for_what_was_without_an_answer(
    event_type: str, status: str, is_end: bool
) -> None:
    assert becomes_certain(event_type, status) is is_end


def test_a_network_is_asked_by_its_schedule_and_then_told_to_undo() -> None:
    asked = [an_attempt(inquiries=number) for number in range(6)]

    actions = [next_action(attempt, ASKABLE) for attempt in asked]

    assert actions == [Action.INQUIRE] * 4 + [Action.REVERSE] * 2
    pauses_s = [
        ask_again_after_s(attempt, ASKABLE, Said.NO_ANSWER, DEADLINE) for attempt in asked[:4]
    ]
    assert pauses_s == [0.5, 1, 4, 4]


@pytest.mark.parametrize("inquiries", [0, 1, 9])
def test_a_network_that_can_not_be_asked_is_told_to_undo_at_once(inquiries: int) -> None:
    attempt = an_attempt(inquiries=inquiries)

    assert next_action(attempt, SILENT) is Action.REVERSE
    assert ask_again_after_s(attempt, SILENT, Said.NO_ANSWER, DEADLINE) == 0


@pytest.mark.parametrize(("after_deadline_s", "is_failed"), [(-1, False), (4.9, False), (5, True)])
def test_not_found_is_not_failed_before_the_network_s_window_is_over(
    after_deadline_s: float, is_failed: bool
) -> None:
    assert is_failed_when_not_found(an_attempt(), ASKABLE, DEADLINE + after_deadline_s) is is_failed


@pytest.mark.parametrize(("after_deadline_s", "pause_s"), [(0, 4), (1, 4), (3, 2), (4.5, 0.5)])
def test_not_found_is_asked_about_again_no_later_than_it_would_be_the_last_word(
    after_deadline_s: float, pause_s: float
) -> None:
    attempt, now = an_attempt(inquiries=2), DEADLINE + after_deadline_s

    assert ask_again_after_s(attempt, ASKABLE, Said.NOT_FOUND, now) == pause_s


def test_a_reversal_pauses_by_its_schedule_and_is_overdue_past_it() -> None:
    assert [REVERSAL.pause_s(tries) for tries in (1, 2, 3, 40)] == [0.5, 1, 60, 60]
    assert [REVERSAL.is_overdue(tries) for tries in (1, 2, 3, 40)] == [False, False, True, True]


def test_the_sandbox_s_networks_are_rules_that_can_be_read() -> None:
    rules = read_network_rules(ROOT / "sandbox" / "networks.yaml")

    assert rules["visa_sim"].inquiry is None
    assert rules["mastercard_sim"].inquiry is not None


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ("timeout_s: 2", "timeout_s: soon", "visa_sim.timeout_s"),
        ("timeout_s: 2", "timeout_s: 0", "visa_sim.timeout_s"),
        ("  timeout_s: 2\n", "", "visa_sim.timeout_s"),
        ("timeout_s: 2", "timeout: 2", "visa_sim.timeout"),
        ("backoff_s: [0.5]", "backoff_s: []", "visa_sim.inquiry.backoff_s"),
        ("backoff_s: [0.5]", "backoff_s: [-1]", "visa_sim.inquiry.backoff_s.0"),
        ("not_found_is_failed_after_s: 5", "not_found_is_failed_after_s: -5", WINDOW),
        ("repeat_s: [0.5, 1]", "repeat_s: [0.5, x]", "visa_sim.reversal.repeat_s.1"),
        ("repeat_s: [0.5, 1]", "repeat_s: [0]", "visa_sim.reversal.repeat_s.0"),
        (", then_every_s: 60", "", "visa_sim.reversal.then_every_s"),
        (GOOD, "", "(the file)"),
        (GOOD, "[visa_sim]", "(the file)"),
        (GOOD, "visa_sim: ", "visa_sim"),
    ],
)
def test_a_file_with_a_bad_rule_is_refused_naming_the_field(
    tmp_path: Path, good: str, bad: str, field: str
) -> None:
    file = tmp_path / "networks.yaml"
    file.write_text(GOOD.replace(good, bad))

    with pytest.raises(ValidationError) as refused:
        read_network_rules(file)

    places = [problem["loc"] for problem in refused.value.errors()]
    assert field in {".".join(map(str, place)) or "(the file)" for place in places}
