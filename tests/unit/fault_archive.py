"""The archive of one payment and its history, spoilt in each way that a check looks for."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.evidence import Archived, Evidence, Kept
from tests.unit.fault_evidence import RECORDS, ROW, TOPIC


def archive_cut(well: Evidence) -> Evidence:
    return replace(well, archive=Archived({TOPIC: RECORDS}, {TOPIC: RECORDS[:1]}, []))


def archive_repeats(well: Evidence) -> Evidence:
    return replace(well, archive=Archived({TOPIC: RECORDS}, {TOPIC: RECORDS * 2}, []))


def archive_broken(well: Evidence) -> Evidence:
    broken = [("data/x", "is not there")]
    return replace(well, archive=Archived({TOPIC: RECORDS}, {TOPIC: RECORDS}, broken))


def told_with_other_values(well: Evidence) -> Evidence:
    older = ROW | {"version": 2}
    return replace(well, rows=[Kept("intent.payment_intents", "pi_1", dict(ROW), older)])


def told_without_a_column(well: Evidence) -> Evidence:
    fewer = {"id": "pi_1", "status": "succeeded"}
    return replace(well, rows=[Kept("intent.payment_intents", "pi_1", dict(ROW), fewer)])


def told_by_no_history(well: Evidence) -> Evidence:
    return replace(well, rows=[Kept("intent.payment_intents", "pi_1", dict(ROW), None)])


def told_and_not_kept(well: Evidence) -> Evidence:
    return replace(well, rows=[Kept("intent.payment_intents", "pi_1", None, dict(ROW))])


def told_with_a_gap(well: Evidence) -> Evidence:
    gap = "a change does not begin with what was there"
    return replace(well, rows=[Kept("intent.payment_intents", "pi_1", dict(ROW), dict(ROW), gap)])
