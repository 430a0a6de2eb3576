"""Brings events to Kafka itself while the capture of its database stands still.

Events come to Kafka by capture, and that is the only way as long as it goes on: then this costs one
small statement every few seconds, however many events there are. When the slot's reader has not
confirmed in the set time what was in the WAL before, or the slot is gone, the topic is read, and
what is in the outbox and not in the topic is sent, just as Debezium sends it. When capture goes on
it sends the same events again: whoever reads them knows them by their ids and versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from kafka.errors import KafkaError
from opentelemetry import metrics

from chassis.background import Repeated
from chassis.config import OutboxSettings
from chassis.database import Database, Row
from chassis.errors import ServiceUnavailable
from chassis.event_topic import EventTopic
from chassis.slots import slot_of

LOG = logging.getLogger(__name__)
LOOK_S = 5.0
LOCK = 0x72656C6179  # "relay"; one process of a service at a time
# Rows are read by the time at which their transaction began; none takes longer than that.
TRANSACTION_MAX = timedelta(minutes=1)
SLICE = timedelta(seconds=10)  # so many rows at once: those of so long a time

RELAY_DDL = [
    "create index on outbox using brin (created) with (autosummarize = on)",
    """
    create table capture_progress (
        id integer primary key check (id = 1),
        mark pg_lsn not null,
        marked timestamptz not null,
        captured_until timestamptz not null,
        trusted_from timestamptz not null,
        was_gone boolean not null default false
    )
    """,
    """
    insert into capture_progress (id, mark, marked, captured_until, trusted_from)
    values (1, pg_current_wal_insert_lsn(), now(), now(), now())
    """,
]
"""`mark` was the end of the WAL at `marked`: when the slot's reader has confirmed it, all that was
written before is in Kafka, and the next mark is set.

Events that were created before `captured_until` are in Kafka. Capture is believed only of events
that were created after `trusted_from`, when it was last found to stand still: a slot that was lost
and made anew knows nothing of what was before it. `was_gone` is whether there was none when it was
last looked for: the first look that finds a new one can't know since when that is there.
"""

RELAY_GRANTS = {"outbox": "select, insert", "capture_progress": "select, update"}

# A process that looks at the same time as another one changes nothing: it has decided by an old
# mark.
LOOK = """
with slot as (
    select confirmed_flush_lsn from pg_replication_slots
    where slot_name = %(slot)s and wal_status <> 'lost'
), seen as (
    select marked, clock_timestamp() as at, pg_current_wal_insert_lsn() as lsn,
        coalesce((select confirmed_flush_lsn from slot) >= mark, false) as is_passed,
        not exists (select from slot) as is_gone
    from capture_progress where id = 1
)
update capture_progress p set
    mark = case when is_passed then seen.lsn else p.mark end,
    marked = case when is_passed then seen.at else p.marked end,
    captured_until = case when is_passed and p.captured_until >= p.trusted_from
        then p.marked else p.captured_until end,
    trusted_from = case
        when is_gone or p.was_gone
            or not is_passed and p.marked < seen.at - cast(%(after)s as interval)
        then seen.at else p.trusted_from end,
    was_gone = is_gone
from seen
where p.id = 1 and p.marked = seen.marked
returning p.captured_until, p.trusted_from, seen.at
"""

PROGRESS = """
select captured_until, trusted_from, clock_timestamp() as at from capture_progress where id = 1
"""

CREATED = """
select id, aggregateid, type, payload, traceparent from outbox
where created >= %(since)s and created < %(until)s
order by created
"""

CAPTURED = """
update capture_progress set captured_until = greatest(captured_until, %(until)s) where id = 1
"""

_meter = metrics.get_meter("paymesh")
unseen_events = _meter.create_gauge(
    "paymesh_unseen_events",
    unit="{event}",
    description="Events that are older than the set time and not known to be in Kafka.",
)
relayed_events = _meter.create_counter(
    "paymesh_relayed_events",
    unit="{event}",
    description="Events that the service itself brought to Kafka.",
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far events are known to be in Kafka, by the database's clock. at: its time now."""

    captured_until: datetime
    trusted_from: datetime
    at: datetime

    @property
    def is_behind(self) -> bool:
        """Whether there may be events that capture does not bring."""
        return self.captured_until < self.trusted_from


class Relay:
    """Looks how far capture is, and goes in its place while it stands still.

    Events of one key are sent in the order in which they were created.
    """

    def __init__(self, settings: OutboxSettings, database: Database, topic: str) -> None:
        self._settings = settings
        self._database = database
        self._topic = topic
        self._slot = slot_of(settings.service_name)
        self._after = timedelta(seconds=settings.relay_after_s)
        self._looking = Repeated("relay", self.look, LOOK_S)
        self._standing_in: _StandIn | None = None
        self._is_stopping = False

    async def start(self) -> None:
        """Begin to look in the background."""
        relayed_events.add(0)  # or nobody sees it grow from nothing
        await self._looking.start()

    async def stop(self) -> None:
        """Finish what is under way."""
        self._is_stopping = True
        await self._looking.stop()
        await self._leave()

    async def look(self) -> None:
        """Look once, and bring what is due. Raises ServiceUnavailable; then nothing is lost."""
        try:
            progress = await self._progress()
            if not progress.is_behind:
                await self._leave()
            elif self._standing_in is None:
                self._standing_in = await self._stand_in(progress)
            if self._standing_in is None:
                unseen_events.set(0)
            else:
                await self._bring(self._standing_in, progress)
        except ServiceUnavailable:
            await self._leave()
            raise

    async def _progress(self) -> Progress:
        found = await self._database.fetch(LOOK, slot=self._slot, after=self._after)
        [row] = found or await self._database.fetch(PROGRESS)
        return Progress(row["captured_until"], row["trusted_from"], row["at"])

    async def _stand_in(self, progress: Progress) -> _StandIn | None:
        """Take capture's place, unless another process has."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._database.transaction())
            # It is held until the transaction ends, and with it the process.
            lock = sa.select(sa.func.pg_try_advisory_xact_lock(LOCK))
            if not await connection.scalar(lock):
                return None
            since = progress.captured_until - TRANSACTION_MAX
            topic = EventTopic(self._settings, self._topic, since)
            stack.push_async_callback(asyncio.to_thread, topic.close)
            return _StandIn(stack.pop_all(), topic, since)

    async def _bring(self, standing_in: _StandIn, progress: Progress) -> None:
        until = min(progress.at - self._after, progress.trusted_from)
        while standing_in.since < until and not self._is_stopping:
            end = min(standing_in.since + SLICE, until)
            rows = await self._database.fetch(CREATED, since=standing_in.since, until=end)
            if rows:
                await self._send_missing(standing_in, rows)
            await self._database.fetch(CAPTURED, until=end)
            standing_in.since = end
        standing_in.topic.forget(standing_in.since)

    async def _send_missing(self, standing_in: _StandIn, rows: Sequence[Row]) -> None:
        unseen_events.set(len(rows))
        try:
            sent = await asyncio.to_thread(standing_in.topic.send_missing, rows)
        except KafkaError as away:
            LOG.warning("events can't be relayed", exc_info=True)
            raise ServiceUnavailable from away
        unseen_events.set(0)
        if sent:
            standing_in.events += sent
            relayed_events.add(sent)

    async def _leave(self) -> None:
        if self._standing_in is None:
            return
        standing_in, self._standing_in = self._standing_in, None
        with contextlib.suppress(ServiceUnavailable):  # the lock ends with its connection too
            await standing_in.stack.aclose()
        if standing_in.events:
            about = {"events": standing_in.events}
            LOG.warning("events are not relayed any more", extra=about)


@dataclass
class _StandIn:
    """What a process holds while it goes in capture's place.

    since: where it goes on. events: how many it has sent.
    """

    stack: AsyncExitStack
    topic: EventTopic
    since: datetime
    events: int = 0
