"""`python -m recon_svc.retention`: deletes attempts that are final and cleared, or never to be.

Breaks, files and lines stay, and attempts that a break tells of: a person looks at both sides.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from chassis.config import RetentionSettings
from chassis.database import Database
from chassis.errors import DomainError, Kind
from chassis.retention import MAY_COME_AGAIN, Report, run_purge
from recon_svc.store.clearing import IMPORT_LOCK, LOCK

ATTEMPTS_AT_ONCE = 1_000

# What has one RRN goes at once, or stays: a hold without its capture, which is what a network
# presents, would be taken for that. A line that is no match is a break, or waits. `||` keeps the
# index of all that succeeded out of a look-up by RRN.
PURGE = """
with seen as materialized (
    select merchant_id, network, rrn, deadline from attempts
    where resolve_after is null and status in ('succeeded', 'failed', 'reversed')
        and deadline > %(after)s and deadline < %(before)s
    order by deadline
    fetch first (%(limit)s) rows with ties
), over as materialized (
    select distinct e.merchant_id, e.network, e.rrn from seen e where not exists (
        select from attempts a
        where a.rrn = e.rrn and a.network = e.network and a.merchant_id = e.merchant_id and not (
            a.status in ('succeeded', 'failed', 'reversed')
            and coalesce(a.reversal, 'acknowledged') = 'acknowledged'
            and a.deadline < %(before)s
            and case
                when a.status <> 'succeeded' or a.reversal is not null then not exists (
                    select from clearing_lines l
                    where l.merchant_id = a.merchant_id and l.attempt_id = a.id
                        and l.attempt_id is not null and l.verdict <> 'duplicate_line' offset 0)
                when a.is_hold then exists (
                    select from attempts c
                    where c.rrn = a.rrn and c.network = a.network
                        and c.merchant_id = a.merchant_id and c.kind = 'capture'
                        and c.status || '' = 'succeeded' offset 0)
                else exists (
                    select from clearing_lines l
                    where l.merchant_id = a.merchant_id and l.attempt_id = a.id
                        and l.attempt_id is not null and l.verdict <> 'duplicate_line'
                        and l.verdict = 'matched' offset 0)
                end
            and not exists (
                select from breaks b
                where b.kind in ('missing_at_network', 'reversal_overdue', 'capture_overdue')
                    and b.subject = 'attempt:' || a.id offset 0)
            and not exists (
                select from breaks b
                where b.attempt_id = a.id and b.line is not null offset 0)
        ) offset 0)
), old as materialized (
    select a.merchant_id, a.id, a.version
    from over o join attempts a
        on a.rrn = o.rrn and a.network = o.network and a.merchant_id = o.merchant_id
), gone as (
    delete from attempts a using old
    where a.merchant_id = old.merchant_id and a.id = old.id and a.version = old.version
    returning a.id
)
select (select max(deadline) from seen) as upto,
    (select count(*) from old) as old,
    (select count(*) from gone) as gone,
    (select count(*) from seen s where not exists (
        select from over o
        where o.rrn = s.rrn and o.network = s.network and o.merchant_id = s.merchant_id)) as kept
"""


class AttemptChanged(DomainError):
    """An event told of an attempt while it was purged, so that all of its batch stay."""

    kind, reason = Kind.CONFLICT, "ATTEMPT_CHANGED"


async def purge_attempts(database: Database, before: datetime) -> Report:
    """Purge attempts that nobody waited for any more at a time, oldest first.

    Takes turns with those who match lines. Raises AttemptChanged, ServiceUnavailable: then what was
    purged so far is purged, and the rest is as it was.
    """
    purged, kept = 0, 0
    upto: datetime | None = datetime.min.replace(tzinfo=UTC)
    while upto is not None:
        wanted = {"after": upto, "before": before, "limit": ATTEMPTS_AT_ONCE}
        async with database.transaction() as connection:
            await connection.exec_driver_sql(LOCK, {"lock": IMPORT_LOCK})
            row = (await connection.exec_driver_sql(PURGE, wanted)).mappings().one()
            if row["gone"] != row["old"]:
                raise AttemptChanged("An attempt changed meanwhile: run it again.")
        purged += row["gone"]
        kept += row["kept"]
        upto = row["upto"]
    return Report(purged, kept)


async def purge(settings: RetentionSettings, database: Database, now: datetime) -> dict[str, int]:
    """Purge, and return how much. An attempt whose events may come again is never old."""
    age = max(timedelta(days=settings.older_than_days), MAY_COME_AGAIN)
    return asdict(await purge_attempts(database, now - age))


if __name__ == "__main__":
    run_purge(RetentionSettings, purge)
