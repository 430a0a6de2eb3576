"""A service's heartbeat in its own database: one captured row that is renewed every second.

It goes the whole way that every change goes, so whoever reads it last knows that nothing on that
way stands still, and how old is what comes out of it. It also keeps the slot of a database moving
in which nobody writes.
"""

from __future__ import annotations

from chassis.background import Repeated
from chassis.database import Database

BEAT_S = 1.0

HEARTBEATS_DDL = [
    """
    create table heartbeats (
        id integer primary key check (id = 1),
        beaten timestamptz not null,
        lsn text not null  -- Debezium leaves a pg_lsn out
    )
    """,
    """
    insert into heartbeats (id, beaten, lsn)
    values (1, clock_timestamp(), cast(pg_current_wal_lsn() as text))
    """,
]
"""`beaten` is the database's time, `lsn` the end of its WAL then."""

HEARTBEATS_GRANTS = {"heartbeats": "select, update"}

# However many processes a service has, the row changes once a second. A clock that was put back
# must not stop it.
BEAT = """
update heartbeats set beaten = clock_timestamp(), lsn = cast(pg_current_wal_lsn() as text)
where id = 1
    and beaten not between clock_timestamp() - interval '0.9 seconds' and clock_timestamp()
"""


def heartbeat(database: Database) -> Repeated:
    """Return what renews the row, to run beside a server."""

    async def beat() -> None:
        await database.fetch(BEAT)

    return Repeated("heartbeat", beat, BEAT_S)
