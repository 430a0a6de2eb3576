"""Domain events: outbox rows, written by the same statement as the change they tell of.

Debezium brings each row to the topic `events.<aggregatetype>`, keyed by the payment intent.
"""

from __future__ import annotations

OUTBOX_DDL = """
create table outbox (
    id text primary key,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    payload bytea not null,
    traceparent text,
    created timestamptz not null default now()
)
"""
"""`id` is the event's id, `aggregateid` the payment intent's, `payload` the protobuf message.

`traceparent` is the sampled span that caused it; what an event causes is in the same trace.
"""

GRANT = """
do $$ begin
    if exists (select from pg_roles where rolname = 'debezium') then
        grant select on {names} to debezium;
    end if;
end $$
"""


def publication_ddl(name: str, tables: list[str]) -> list[str]:
    """Return the statements that let Debezium read these tables, with full before images."""
    names = ", ".join(tables)
    return [
        *(f"alter table {table} replica identity full" for table in tables if table != "outbox"),
        f"create publication {name} for table {names}",
        GRANT.format(names=names),
    ]
