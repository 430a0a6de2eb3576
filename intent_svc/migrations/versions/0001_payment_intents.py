"""Payment intents, idempotency keys, the outbox and its publication."""

from __future__ import annotations

from alembic import op

from chassis.consumer import CONSUMED_EVENTS_DDL
from chassis.events import OUTBOX_DDL, publication_ddl

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
    description text check (length(description) <= 1000),
    metadata jsonb not null,
    status text not null check (
        status in (
            'created', 'processing', 'authorized', 'capturing', 'succeeded', 'failed', 'canceled'
        )
    ),
    amount_captured_minor integer not null
        check (amount_captured_minor between 0 and amount_minor),
    latest_transaction_id text collate "C",
    failure_code text,
    failure_decline_code text,
    failure_message text,
    amount_to_capture_minor integer check (amount_to_capture_minor > 0),
    capture_before timestamptz,
    is_expiring boolean not null default false,
    due timestamptz,
    version integer not null check (version > 0),
    created timestamptz not null,
    primary key (merchant_id, id),
    check ((status = 'succeeded') = (amount_captured_minor > 0)),
    check ((status = 'failed') = (failure_code is not null)),
    check (status in ('created', 'canceled') or latest_transaction_id is not null),
    check (amount_to_capture_minor <= amount_minor),
    check (capture_method = 'manual' or (capture_before is null and due is null)),
    check (status not in ('authorized', 'capturing') or capture_before is not null),
    check (
        (capture_method = 'manual' and status in ('capturing', 'succeeded'))
        = (amount_to_capture_minor is not null)
    ),
    check (status <> 'succeeded' or amount_captured_minor
        = case capture_method when 'manual' then amount_to_capture_minor else amount_minor end),
    check (due is null or status in ('authorized', 'capturing', 'canceled'))
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


DUE = "create index on payment_intents (due) where due is not null"


def upgrade() -> None:
    """Create everything."""
    for statement in (
        PAYMENT_INTENTS,
        DUE,
        IDEMPOTENCY_KEYS,
        OUTBOX_DDL,
        CONSUMED_EVENTS_DDL,
        *publication_ddl("paymesh_intent", ["outbox", "payment_intents"]),
    ):
        op.execute(statement)
