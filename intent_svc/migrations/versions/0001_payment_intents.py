"""Payment intents, idempotency keys, the outbox and its publication."""

from __future__ import annotations

from alembic import op

from chassis.access import service_ddl
from chassis.consumer import CONSUMED_EVENTS_DDL
from chassis.events import publication_ddl
from chassis.heartbeat import HEARTBEATS_DDL, HEARTBEATS_GRANTS
from chassis.outbox import keep_outbox_ddl, outbox_ddl
from chassis.relay import RELAY_DDL, RELAY_GRANTS
from chassis.retention import retention_ddl

revision = "0001"
down_revision = None

PAYMENT_INTENTS = """
create table payment_intents (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    mode text not null check (mode in ('test', 'live')),
    amount_minor integer not null check (amount_minor between 1 and 99999999),
    currency text not null check (currency ~ '^[a-z]{3}$'),
    capture_method text not null check (capture_method in ('automatic', 'manual')),
    partial_approval text not null check (partial_approval in ('refused', 'accepted')),
    description text check (length(description) <= 1000),
    metadata jsonb not null,
    status text not null check (
        status in (
            'created', 'processing', 'authorized', 'capturing', 'succeeded', 'failed', 'canceled'
        )
    ),
    amount_authorized_minor integer not null default 0 check (amount_authorized_minor >= 0),
    amount_captured_minor integer not null
        check (amount_captured_minor between 0 and amount_authorized_minor),
    latest_transaction_id text collate "C",
    failure_code text,
    failure_decline_code text,
    failure_message text,
    amount_to_capture_minor integer check (amount_to_capture_minor > 0),
    captures integer not null default 0 check (captures >= 0),
    capture_before timestamptz,
    is_expiring boolean not null default false,
    due timestamptz,
    version integer not null check (version > 0),
    created timestamptz not null,
    purged timestamptz,  -- set in the transaction that deletes the row, for who reads its changes
    primary key (merchant_id, id),
    check ((status = 'succeeded') = (amount_captured_minor > 0)),
    check (case status when 'failed' then failure_code is not null
        when 'authorized' then failure_code is null or captures > 0 else failure_code is null end),
    check (status in ('created', 'canceled') or latest_transaction_id is not null),
    check (amount_to_capture_minor <= amount_authorized_minor),
    check (capture_method = 'manual' or (capture_before is null and due is null)),
    check (status not in ('authorized', 'capturing') or capture_before is not null),
    check (
        (capture_method = 'manual' and status in ('capturing', 'succeeded'))
        = (amount_to_capture_minor is not null)
    ),
    check (status <> 'succeeded' or amount_captured_minor
        = case capture_method when 'manual' then amount_to_capture_minor
            else amount_authorized_minor end),
    check (due is null or status in ('authorized', 'capturing', 'canceled')),
    check (amount_authorized_minor <= amount_minor),
    check (partial_approval = 'accepted' or amount_authorized_minor in (0, amount_minor)),
    check (case when status in ('authorized', 'capturing', 'succeeded')
        then amount_authorized_minor > 0
        else amount_authorized_minor = 0 or status = 'canceled' end)
) with (fillfactor = 70)
"""

IDEMPOTENCY_KEYS = """
create table idempotency_keys (
    merchant_id text collate "C" not null,
    mode text not null,
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null,
    response bytea,  -- null while what the key was used for has no answer yet
    created timestamptz not null default now(),
    primary key (merchant_id, mode, key)
)
"""


CREATED = "create index on payment_intents using brin (created) with (autosummarize = on)"
KEYS_CREATED = "create index on idempotency_keys using brin (created) with (autosummarize = on)"
DUE = "create index on payment_intents (due) where due is not null"

GRANTS = {
    "payment_intents": "select, insert, update",
    "idempotency_keys": "select, insert, update",
    "consumed_events": "insert",
    **HEARTBEATS_GRANTS,
    **RELAY_GRANTS,
    "purged_payments": "select",
}
RETENTION_GRANTS = {
    "payment_intents": "select, delete, update (purged)",
    "idempotency_keys": "select, delete",
    "consumed_events": "select, delete",
}


def upgrade() -> None:
    """Create everything."""
    for statement in (
        PAYMENT_INTENTS,
        DUE,
        CREATED,
        IDEMPOTENCY_KEYS,
        KEYS_CREATED,
        *outbox_ddl(),
        *RELAY_DDL,
        *HEARTBEATS_DDL,
        *CONSUMED_EVENTS_DDL,
        *retention_ddl("intent_retention", RETENTION_GRANTS),
        *service_ddl("intent", GRANTS),
        *keep_outbox_ddl("intent"),
        *publication_ddl("paymesh_intent", ["outbox", "payment_intents", "heartbeats"]),
    ):
        op.execute(statement)
