"""When a card network's business day ends, and when its file of that day is late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from chassis.networks import ClearingRule

DAYS_LOOKED_BACK = 7


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """The time of one business day: what was authorized after `since`, up to `cut_off`."""

    business_date: date
    since: datetime
    cut_off: datetime


def cut_off(rule: ClearingRule, business_date: date, written: datetime) -> datetime:
    """Return the moment up to which a file claims what was authorized.

    written: when the network wrote the file, which ends the day where it does so on request.
    """
    if rule.daily_cut_off is None:
        return written
    return datetime.combine(business_date, rule.daily_cut_off, tzinfo=UTC)


def due_after(rule: ClearingRule, cut_off: datetime) -> datetime:
    """Return when what is not there by then counts as missing."""
    return cut_off + timedelta(hours=rule.late_after_h)


def days_due(rule: ClearingRule, now: datetime) -> Iterator[BusinessDay]:
    """Return the last business days whose file should be there; none without a daily cut-off."""
    if rule.daily_cut_off is None:
        return
    for back in range(DAYS_LOOKED_BACK):
        business_date = now.date() - timedelta(days=back)
        ended = datetime.combine(business_date, rule.daily_cut_off, tzinfo=UTC)
        if due_after(rule, ended) <= now:
            yield BusinessDay(business_date, ended - timedelta(days=1), ended)
