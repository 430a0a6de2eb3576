"""Merchants, API keys and their changes, used nonces."""

from __future__ import annotations

from alembic import op

from chassis.access import service_ddl
from chassis.events import publication_ddl
from chassis.heartbeat import HEARTBEATS_DDL, HEARTBEATS_GRANTS

revision = "0001"
down_revision = None

MERCHANTS = """
create table merchants (
    id text collate "C" primary key,
    name text not null,
    country text not null,
    mcc text not null check (mcc ~ '^[0-9]{4}$'),
    bank_account bytea,
    created timestamptz not null
)
"""

API_KEYS = """
create table api_keys (
    id text collate "C" primary key,
    merchant_id text collate "C" not null references merchants (id),
    mode text not null check (mode in ('test', 'live')),
    publishable_key text not null unique,
    secret bytea not null,
    secret_last4 text not null,
    created timestamptz not null,
    expires timestamptz,
    revoked timestamptz check (revoked is null or coalesce(expires <= revoked, false)),
    last_used timestamptz,
    rights jsonb,
    networks cidr[]
)
"""

API_KEY_CHANGES = """
create table api_key_changes (
    merchant_id text collate "C" not null references merchants (id),
    number bigint not null generated always as identity,
    api_key_id text collate "C" not null,
    action text not null check (action in ('created', 'rolled', 'restricted', 'revoked')),
    requested_by text not null,
    created timestamptz not null,
    expires timestamptz,
    rights jsonb,
    networks cidr[],
    other_api_key_id text collate "C",
    primary key (merchant_id, number)
)
"""

NONCES = """
create table nonces (
    key_id text collate "C" not null,
    nonce uuid not null,
    seen timestamptz not null default now(),
    primary key (key_id, nonce)
)
"""

PAYMENT_DOMAINS = """
create table payment_domains (
    merchant_id text collate "C" not null references merchants (id),
    name text collate "C" not null,
    created timestamptz not null,
    primary key (merchant_id, name)
)
"""

GRANTS = {
    "merchants": "select, insert",
    "api_keys": "select, insert, update",
    "api_key_changes": "select, insert",
    "nonces": "select, insert, delete",
    "payment_domains": "select, insert, update, delete",
    **HEARTBEATS_GRANTS,
}


def upgrade() -> None:
    """Create everything."""
    for statement in (
        MERCHANTS,
        API_KEYS,
        "create index on api_keys (merchant_id, id)",
        API_KEY_CHANGES,
        NONCES,
        PAYMENT_DOMAINS,
        "create index on nonces using brin (seen)",
        *HEARTBEATS_DDL,
        *service_ddl("authz", GRANTS),
        *publication_ddl(
            "paymesh_authz",
            ["merchants", "api_keys", "api_key_changes", "payment_domains", "heartbeats"],
        ),
    ):
        op.execute(statement)
