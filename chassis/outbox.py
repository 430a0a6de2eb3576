"""Partitions of the outbox: made days ahead, dropped when Debezium has brought all of one to Kafka.

A service may not change tables. So a function of the owner's does it, which takes no parameters,
and the service calls it from time to time.
"""

from __future__ import annotations

import asyncio
import logging

from opentelemetry import metrics

from chassis.background import keep_running
from chassis.database import Database
from chassis.errors import ServiceUnavailable
from chassis.events import OUTBOX_DDL

LOG = logging.getLogger(__name__)
DAYS_AHEAD = 14
DAYS_KEPT = 8  # who lost a slot takes the outbox into a new snapshot
KEEP_EVERY_S = 3600.0
RETRY_S = 60.0

_meter = metrics.get_meter("paymesh")
days_ahead = _meter.create_gauge(
    "paymesh_outbox_ahead",
    unit="d",
    description="For how many days from now the outbox has partitions.",
)
overdue_partitions = _meter.create_gauge(
    "paymesh_outbox_overdue",
    unit="{partition}",
    description="Partitions that are old enough to be dropped and have not gone through the slot.",
)

# What is written on a day that nobody made a partition for must not fail: a payment hangs on it.
DEFAULT_DDL = "create table outbox_default partition of outbox default"

KEEP_DDL = f"""
create function keep_outbox(out ahead integer, out overdue integer)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '2s'
as $$
declare
    today date := current_date;
    day date;
    name text;
    is_over boolean;
    found_rows bigint;
    noted jsonb;
    through pg_lsn := (
        select min(confirmed_flush_lsn) from pg_replication_slots
        where slot_type = 'logical' and database = current_database());
    oldest text;
begin
    perform pg_advisory_xact_lock(hashtext('keep_outbox'));

    -- Attached, and not made as a partition, which would lock writers of the whole outbox out.
    for day in select today + n from generate_series(0, {DAYS_AHEAD}) n loop
        name := to_char(day, '"outbox_"YYYYMMDD');
        continue when to_regclass('public.' || name) is not null or exists (
            select from public.outbox_default where created >= day and created < day + 1);
        execute format(
            'create table public.%I (like public.outbox including defaults including indexes)',
            name);
        execute format(
            'alter table public.outbox attach partition public.%I for values from (%L) to (%L)',
            name, day, day + 1);
    end loop;

    -- What is old enough is counted, with the place that the log had reached by then. If nothing
    -- has come since, and the slot has passed that place, all of it is in Kafka.
    overdue := 0;
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'public.outbox'::regclass order by c.relname
    loop
        if name = 'outbox_default' then
            select count(*) > 0 and max(created) < today - {DAYS_KEPT} into is_over
            from public.outbox_default;
        else
            is_over := to_date(name, '"outbox_"YYYYMMDD') < today - {DAYS_KEPT};
        end if;
        continue when not is_over;
        overdue := overdue + 1;
        execute format('lock table public.%I in share mode', name);
        execute format('select count(*) from public.%I', name) into found_rows;
        noted := obj_description(('public.' || quote_ident(name))::regclass, 'pg_class');
        if noted is null or (noted ->> 'rows')::bigint <> found_rows then
            execute format('comment on table public.%I is %L', name, jsonb_build_object(
                'rows', found_rows, 'until', pg_current_wal_insert_lsn()));
        elsif through >= (noted ->> 'until')::pg_lsn then
            oldest := coalesce(oldest, name);
        end if;
    end loop;

    -- Last, and one at a time: it locks writers out, for as long as a file takes to be unlinked.
    if oldest is not null then
        execute format('drop table public.%I', oldest);
        overdue := overdue - 1;
    end if;
    if oldest = 'outbox_default' then
        create table public.outbox_default partition of public.outbox default;
    end if;

    select count(*) - 1 into ahead from generate_series(0, {DAYS_AHEAD}) n
    where to_regclass(to_char(today + n, '"public.outbox_"YYYYMMDD')) is not null;
end
$$
"""  # noqa: S608 our own numbers


def outbox_ddl() -> list[str]:
    """Return the statements that make the outbox with its first partitions."""
    return [OUTBOX_DDL, DEFAULT_DDL, KEEP_DDL, "select keep_outbox()"]


def keep_outbox_ddl(role: str) -> list[str]:
    """Return the statements that let a service have partitions made and dropped."""
    return [
        "revoke all on function keep_outbox() from public",
        f"grant execute on function keep_outbox() to {role}",
    ]


class OutboxKeeper:
    """Has partitions made and dropped; processes that do it at once wait for each other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        self._task = keep_running(self._keep(), name="outbox partitions")

    async def stop(self) -> None:
        """Stop; what is half done is undone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                [kept] = await self._database.fetch("select ahead, overdue from keep_outbox()")
            except ServiceUnavailable:  # also when a lock was not to be had soon
                LOG.warning("partitions of the outbox are seen to later")
                await asyncio.sleep(RETRY_S)
                continue
            days_ahead.set(kept["ahead"])
            overdue_partitions.set(kept["overdue"])
            await asyncio.sleep(KEEP_EVERY_S)
