"""`python -m webhook_svc.retention`: deletes events whose deliveries are over for long, and keys.

The archive has the events, as they came from Kafka; nobody keeps what was sent to merchants.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from chassis.config import RetentionSettings
from chassis.database import Database
from chassis.retention import (
    FORGET_KEYS,
    KEYS_KEPT,
    MAY_COME_AGAIN,
    forget,
    run_purge,
)

# An event goes with all its deliveries or not at all. `next_attempt` is when something was last
# done about a delivery that is over: whatever is due is pending.
PURGE = """
with old as (
    select e.merchant_id, e.id from events e
    where e.created < %(before)s and not exists (
        select from deliveries d
        where d.merchant_id = e.merchant_id and d.event_id = e.id
            and (d.status = 'pending' or d.next_attempt >= %(before)s) offset 0)
    order by e.created
    limit %(limit)s
), delivery as (
    delete from deliveries d using old
    where d.merchant_id = old.merchant_id and d.event_id = old.id and d.status <> 'pending'
    returning d.merchant_id, d.id
), attempt as (
    delete from delivery_attempts a using delivery d
    where a.merchant_id = d.merchant_id and a.delivery_id = d.id
)
delete from events e using old where e.merchant_id = old.merchant_id and e.id = old.id
returning e.id
"""


async def purge(settings: RetentionSettings, database: Database, now: datetime) -> dict[str, int]:
    """Purge, and return how much. An event that may come again is never old."""
    keys = await forget(database, FORGET_KEYS, now - KEYS_KEPT)
    age = max(timedelta(days=settings.older_than_days), MAY_COME_AGAIN)
    return {"events": await forget(database, PURGE, now - age), "keys": keys}


if __name__ == "__main__":
    run_purge(RetentionSettings, purge)
