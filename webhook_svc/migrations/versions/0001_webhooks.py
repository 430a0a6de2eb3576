"""Endpoints, secrets, events, deliveries and their tries.

Primary keys alone begin with the merchant, so that no plan, made while a table is small, finds one
row by walking through all of its merchant's.
"""

from __future__ import annotations

from alembic import op

from chassis.access import connect_ddl, grants_ddl, service_ddl
from chassis.events import publication_ddl
from chassis.heartbeat import HEARTBEATS_DDL, HEARTBEATS_GRANTS

revision = "0001"
down_revision = None

ENDPOINTS = """
create table webhook_endpoints (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    mode text not null check (mode in ('test', 'live')),
    url text not null,
    enabled_events text[] not null check (cardinality(enabled_events) > 0),
    description text,
    status text not null check (status in ('enabled', 'disabled')),
    created timestamptz not null,
    primary key (merchant_id, id)
)
"""

SECRETS = """
create table webhook_secrets (
    merchant_id text collate "C" not null,
    endpoint_id text collate "C" not null,
    number bigint generated always as identity,
    sealed bytea not null,
    expires timestamptz,
    primary key (merchant_id, endpoint_id, number),
    foreign key (merchant_id, endpoint_id) references webhook_endpoints (merchant_id, id)
        on delete cascade
)
"""

EVENTS = """
create table events (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    mode text not null check (mode in ('test', 'live')),
    type text not null,
    message bytea not null,
    created timestamptz not null,
    primary key (merchant_id, id)
)
"""

DELIVERIES = """
create table deliveries (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    endpoint_id text collate "C" not null,
    event_id text collate "C" not null,
    status text not null check (status in ('pending', 'succeeded', 'exhausted', 'canceled')),
    tries integer not null check (tries >= 0),
    first_at timestamptz,
    next_attempt timestamptz not null,
    claim_id uuid,
    created timestamptz not null,
    primary key (merchant_id, id),
    unique (endpoint_id, event_id, merchant_id),
    foreign key (merchant_id, event_id) references events (merchant_id, id)
) with (fillfactor = 70)
"""

EVENTS_CREATED = "create index on events (created)"
BY_EVENT = "create index on deliveries (event_id, merchant_id)"
DUE = "create index on deliveries (endpoint_id, next_attempt) where status = 'pending'"

TRIES = """
create table delivery_attempts (
    merchant_id text collate "C" not null,
    delivery_id text collate "C" not null,
    number bigint generated always as identity,
    created timestamptz not null,
    duration_ms integer not null,
    http_status integer,
    error text,
    response text,
    primary key (merchant_id, delivery_id, number),
    foreign key (merchant_id, delivery_id) references deliveries (merchant_id, id)
)
"""

IDEMPOTENCY_KEYS = """
create table idempotency_keys (
    merchant_id text collate "C" not null,
    mode text not null,
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null,
    response bytea,
    created timestamptz not null default now(),
    primary key (merchant_id, mode, key)
)
"""

KEYS_CREATED = "create index on idempotency_keys using brin (created) with (autosummarize = on)"

GRANTS = {
    "webhook_endpoints": "select, insert, update, delete",
    "webhook_secrets": "select, insert, update",
    "events": "select, insert",
    "deliveries": "select, insert, update",
    "delivery_attempts": "select, insert",
    "idempotency_keys": "select, insert, update",
    **HEARTBEATS_GRANTS,
}
RETENTION_GRANTS = {
    "events": "select, delete",
    "deliveries": "select, delete",
    "delivery_attempts": "select, delete",
    "idempotency_keys": "select, delete",
}


def upgrade() -> None:
    """Create everything."""
    for statement in (
        ENDPOINTS,
        SECRETS,
        EVENTS,
        EVENTS_CREATED,
        DELIVERIES,
        BY_EVENT,
        DUE,
        TRIES,
        IDEMPOTENCY_KEYS,
        KEYS_CREATED,
        *HEARTBEATS_DDL,
        *connect_ddl("webhook_retention"),
        *grants_ddl("webhook_retention", RETENTION_GRANTS),
        *service_ddl("webhook", GRANTS),
        *publication_ddl("paymesh_webhook", ["webhook_endpoints", "heartbeats"]),
    ):
        op.execute(statement)
