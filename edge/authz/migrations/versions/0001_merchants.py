"""Merchants, API keys and used nonces."""

from __future__ import annotations

from alembic import op

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
    expires timestamptz
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


def upgrade() -> None:
    """Create everything."""
    for statement in (
        MERCHANTS,
        API_KEYS,
        "create index on api_keys (merchant_id, id)",
        NONCES,
        "create index on nonces using brin (seen)",
    ):
        op.execute(statement)
