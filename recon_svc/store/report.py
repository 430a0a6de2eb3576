"""The daily report, summed in PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

from chassis.database import Database
from recon_svc.domain.breaks import BreakKind
from recon_svc.domain.report import BreakSum, DailyReport, NetworkFiles, ReportRow, Sum

LAST_DATE = """
select business_date from clearing_files where business_date is not null
order by business_date desc limit 1
"""

FILES = """
select network, count(*) filter (where status <> 'refused') as taken,
    count(*) filter (where status = 'refused') as refused,
    coalesce(sum(rejected) filter (where status <> 'refused'), 0)::integer as rejected
from clearing_files where business_date = %(business_date)s and network is not null
group by network order by network
"""

DECLARED = """
select f.network, t.currency, sum(t.lines)::bigint as lines,
    sum(t.amount_minor)::bigint as amount_minor
from clearing_files f join clearing_totals t on t.file = f.id
where f.business_date = %(business_date)s and f.status <> 'refused'
group by f.network, t.currency
"""

LINES = """
select f.network, l.settlement_currency as currency, l.verdict, count(*) as lines,
    sum(l.settlement_minor)::bigint as amount_minor
from clearing_files f join clearing_lines l on l.file = f.id
where f.business_date = %(business_date)s and f.status <> 'refused'
group by f.network, l.settlement_currency, l.verdict
"""

# A break belongs to the currency its line is settled in, or to ours where there is no line.
BREAKS = """
select b.network, coalesce(l.settlement_currency, b.our_currency, '') as currency, b.kind,
    count(*) as number, count(*) filter (where b.resolved_at is null) as open_number,
    coalesce(sum(b.our_amount_minor), 0)::bigint as ours_minor
from breaks b left join clearing_lines l on l.file = b.file and l.number = b.line
where b.business_date = %(business_date)s
group by b.network, coalesce(l.settlement_currency, b.our_currency, ''), b.kind
"""

NOTHING = Sum()
WAITING = frozenset({"new", "waiting", "open"})
Key = tuple[str, str]


class ReportStore:
    """Reads what files, lines and breaks of a business date sum to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_business_date(self) -> date | None:
        """Return the newest business date of a file."""
        rows = await self._database.fetch(LAST_DATE)
        return rows[0]["business_date"] if rows else None

    async def report(self, business_date: date) -> DailyReport:
        """Return the report of a business date, as it stands now."""
        asked = {"business_date": business_date}
        files = await self._database.fetch(FILES, **asked)
        declared = await self._database.fetch(DECLARED, **asked)
        lines = await self._database.fetch(LINES, **asked)
        breaks = await self._database.fetch(BREAKS, **asked)
        return DailyReport(
            business_date,
            tuple(
                NetworkFiles(row["network"], row["taken"], row["refused"], row["rejected"])
                for row in files
            ),
            _rows(declared, lines, breaks),
        )


def _rows(declared: Any, lines: Any, breaks: Any) -> tuple[ReportRow, ...]:
    files = {_key(row): _sum(row) for row in declared}
    verdicts: dict[Key, dict[str, Sum]] = defaultdict(dict)
    for row in lines:
        verdicts[_key(row)][row["verdict"]] = _sum(row)
    found: dict[Key, dict[str, Any]] = defaultdict(dict)
    for row in breaks:
        found[_key(row)][row["kind"]] = row
    return tuple(
        _row(key, files.get(key, NOTHING), verdicts[key], found[key])
        for key in sorted({*files, *verdicts, *found})
    )


def _row(key: Key, declared: Sum, verdicts: dict[str, Sum], found: dict[str, Any]) -> ReportRow:
    waiting = (verdicts.get(verdict, NOTHING) for verdict in WAITING)
    return ReportRow(
        network=key[0],
        currency=key[1],
        declared=declared,
        read=sum(verdicts.values(), start=NOTHING),
        matched=verdicts.get("matched", NOTHING),
        waiting=sum(waiting, start=NOTHING),
        breaks=tuple(
            _break_sum(kind, verdicts.get(kind, NOTHING), found.get(kind))
            for kind in BreakKind
            if kind in verdicts or kind in found
        ),
    )


def _break_sum(kind: BreakKind, theirs: Sum, row: Any) -> BreakSum:
    if row is None:
        return BreakSum(kind, 0, 0, theirs, 0)
    return BreakSum(kind, row["number"], row["open_number"], theirs, row["ours_minor"])


def _key(row: Any) -> Key:
    return row["network"], row["currency"]


def _sum(row: Any) -> Sum:
    return Sum(row["lines"], row["amount_minor"])
