"""When a network's business day ends, and when its file is late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from chassis.networks import ClearingRule, read_network_rules
from recon_svc.domain.business_day import BusinessDay, cut_off, days_due, due_after
from recon_svc.domain.clearing_file import network_of

DAY = date(2026, 11, 26)
DAILY = ClearingRule(cut_off="22:30", late_after_h=4)
ON_REQUEST = ClearingRule(cut_off="on_request", late_after_h=0.5)
ENDED = datetime(2026, 11, 26, 22, 30, tzinfo=UTC)
WRITTEN = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
NETWORK = """
visa_sim:
  timeout_s: 2
  reversal: {{repeat_s: [1], then_every_s: 60}}
  clearing: {{cut_off: {cut_off}, late_after_h: 1}}
"""


def test_a_day_ends_at_its_cut_off_or_when_its_file_is_written() -> None:
    assert cut_off(DAILY, DAY, WRITTEN) == ENDED
    assert cut_off(ON_REQUEST, DAY, WRITTEN) == WRITTEN
    assert due_after(ON_REQUEST, WRITTEN) == WRITTEN + timedelta(minutes=30)


def test_a_file_is_due_from_the_end_of_its_grace_on_for_a_week() -> None:
    second = timedelta(seconds=1)
    due = ENDED + timedelta(hours=4)

    assert BusinessDay(DAY, ENDED - timedelta(days=1), ENDED) in list(days_due(DAILY, due))
    assert DAY not in [day.business_date for day in days_due(DAILY, due - second)]
    assert len(list(days_due(DAILY, due))) == 6  # today's is not over
    assert list(days_due(ON_REQUEST, due)) == []


@pytest.mark.parametrize("text", ["22:30", '"24:00"', '"9:00"', '"soon"'])
def test_a_cut_off_that_yaml_may_misread_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "networks.yaml"
    file.write_text(NETWORK.format(cut_off=text))

    with pytest.raises(ValidationError, match="cut_off"):
        read_network_rules(file)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("visa_sim-20261126-001.tc33", "visa_sim"),
        ("visa_sim-eu-20261126-001.tc33", "visa_sim-eu"),
        ("visa_simulator-1.tc33", None),
        ("visa_sim", None),
    ],
)
def test_a_name_says_whose_file_it_is(name: str, network: str | None) -> None:
    assert network_of(name, ["visa_sim", "visa_sim-eu", "mastercard_sim"]) == network
