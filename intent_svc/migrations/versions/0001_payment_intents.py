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
    description text check (length(description) <= 1000),
    metadata jsonb not null,
    status text not null check (
        status in ('created', 'processing', 'authorized', 'succeeded', 'failed', 'canceled')
    ),
    amount_captured_minor integer not null
        check (amount_captured_minor between 0 and amount_minor),
    latest_transaction_id text collate "C",
    failure_code text,
    failure_decline_code text,
    failure_message text,
    version integer not null check (version > 0),
    created timestamptz not null,
    primary key (merchant_id, id),
    check ((status = 'succeeded') = (amount_captured_minor > 0)),
    check ((status = 'failed') = (failure_code is not null)),
    check (status in ('created', 'canceled') or latest_transaction_id is not null)
) with (fillfactor = 70)
"""

IDEMPOTENCY_KEYS = """
create table idempotency_keys (
    merchant_id text collate "C" not null,
    mode text not null,
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null,
    response bytea not null,
    created timestamptz not null default now(),
    primary key (merchant_id, mode, key)
)
"""


def upgrade() -> None:
    """Create everything."""
    for statement in (
        PAYMENT_INTENTS,
        IDEMPOTENCY_KEYS,
        OUTBOX_DDL,
        CONSUMED_EVENTS_DDL,
        *publication_ddl("paymesh_intent", ["outbox", "payment_intents"]),
    ):
        op.execute(statement)
