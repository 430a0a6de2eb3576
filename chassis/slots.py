"""The replication slots of a service's own database: how much WAL they hold back, and whether any
of it may be gone before it was read.
"""

from __future__ import annotations

import logging

from opentelemetry import metrics

from chassis.background import Repeated
from chassis.database import Database, Row

LOG = logging.getLogger(__name__)
LOOK_S = 5.0
IN_DANGER = {"unreserved", "lost"}  # of pg_replication_slots.wal_status
ABSENT = "absent"

SLOTS = """
select slot_name, active, wal_status, safe_wal_size as safe_bytes,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint as retained_bytes,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint as lag_bytes
from pg_replication_slots
where slot_type = 'logical' and database = current_database() and not temporary
"""

_meter = metrics.get_meter("paymesh")
retained = _meter.create_gauge(
    "paymesh_slot_retained", unit="By", description="WAL that is kept for a slot."
)
lag = _meter.create_gauge(
    "paymesh_slot_lag", unit="By", description="WAL that a slot's reader has not confirmed."
)
safe = _meter.create_gauge(
    "paymesh_slot_safe_wal", unit="By", description="WAL that may be written before a slot is lost."
)
is_active = _meter.create_gauge(
    "paymesh_slot_active", unit="{slot}", description="1 while somebody reads from a slot, or 0."
)
is_unreserved = _meter.create_gauge(
    "paymesh_slot_unreserved",
    unit="{slot}",
    description="1 if the next checkpoint may remove WAL that a slot needs, or 0.",
)
is_lost = _meter.create_gauge(
    "paymesh_slot_lost",
    unit="{slot}",
    description="1 if WAL that a slot needs is gone, or 0.",
)


def slot_of(service: str) -> str:
    """Return the name of the slot from which a service's changes are captured."""
    return f"paymesh_{service}"


class SlotWatch:
    """Looks at the slots, as the service's own role may, and says when one is in danger."""

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._known = {slot_of(service): ABSENT}

    async def look(self) -> None:
        """Look once. Raises ServiceUnavailable."""
        found = {row["slot_name"]: row for row in await self._database.fetch(SLOTS)}
        for name in self._known.keys() | found.keys():
            self._measure(name, found.get(name))

    def _measure(self, name: str, row: Row | None) -> None:
        status = ABSENT if row is None else row["wal_status"]
        attributes = {"slot": name}
        is_active.set(int(row is not None and row["active"]), attributes)
        is_unreserved.set(int(status == "unreserved"), attributes)
        is_lost.set(int(status == "lost"), attributes)
        retained.set(row["retained_bytes"] if row else 0, attributes)
        lag.set(row["lag_bytes"] if row else 0, attributes)
        if row is not None:
            safe.set(row["safe_bytes"] or 0, attributes)
        self._tell(name, status)

    def _tell(self, name: str, status: str) -> None:
        was = self._known.get(name, ABSENT)
        self._known[name] = status
        about = {"slot": name, "wal_status": status}
        if status != was and status in IN_DANGER:
            LOG.error("a replication slot is in danger", extra=about)
        elif status not in IN_DANGER and was in IN_DANGER:
            LOG.warning("a replication slot is out of danger", extra=about)


def slot_watch(database: Database, service: str) -> Repeated:
    """Return what watches the slots of a service's database, to run beside a server."""
    return Repeated("slots", SlotWatch(database, service).look, LOOK_S)
