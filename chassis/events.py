"""Domain events: outbox rows, written by the same statement as the change they tell of.

Debezium brings each row to the topic `events.<aggregatetype>`, keyed by the payment intent.
"""

from __future__ import annotations

from chassis.access import connect_ddl, grants_ddl

OUTBOX_DDL = """
create table outbox (
    id text not null,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    payload bytea not null,
    traceparent text,
    created timestamptz not null default now(),
    primary key (id, created)
) partition by range (created)
"""
"""`id` is the event's id, `aggregateid` the payment intent's, `payload` the protobuf message.

`traceparent` is the sampled span that caused it; what an event causes is in the same trace.
Each day of `created` is a partition: see chassis/outbox.py.
"""


SIGNALS_DDL = """
create table debezium_signals (id text primary key, type text not null, data text)
"""
"""What the platform team asks of Debezium, and Debezium's marks around what it reads again.

Its columns are Debezium's: exactly these three, in this order. Rows are only ever added.
"""


def publication_ddl(name: str, tables: list[str]) -> list[str]:
    """Return the statements that let Debezium read these tables, with full before images.

    It is also told there what to read again, see docs/capture.md; nothing else may it write.
    """
    names = ", ".join([*tables, "debezium_signals"])
    return [
        SIGNALS_DDL,
        *(f"alter table {table} replica identity full" for table in tables if table != "outbox"),
        # A row is the outbox's, whichever partition it lies in.
        f"create publication {name} for table {names} with (publish_via_partition_root = true)",
        *connect_ddl("debezium"),
        *grants_ddl("debezium", dict.fromkeys(tables, "select")),
        *grants_ddl("debezium", {"debezium_signals": "select, insert"}),
    ]
