"""Transactions, attempts, the outbox and its publication.

Primary keys alone begin with the merchant, so that no plan, made while a table is small, finds one
row by walking through all of its merchant's.
"""

from __future__ import annotations

from alembic import op

from chassis.events import OUTBOX_DDL, publication_ddl

revision = "0001"
down_revision = None

TRANSACTIONS = """
create table transactions (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    mode text not null check (mode in ('test', 'live')),
    payment_intent_id text collate "C" not null,
    idempotency_key text not null check (length(idempotency_key) between 1 and 255),
    request_hash bytea not null check (length(request_hash) = 32),
    status text not null check (
        status in ('pending', 'pending_verification', 'succeeded', 'failed')
    ),
    answered_as text check (answered_as in ('pending_verification', 'succeeded', 'failed')),
    amount_minor integer check (amount_minor between 1 and 99999999),
    currency text check (currency ~ '^[a-z]{3}$'),
    amount_captured_minor integer not null default 0 check (amount_captured_minor >= 0),
    capture_before timestamptz,
    card_brand text not null,
    card_last4 text not null check (card_last4 ~ '^[0-9]{4}$'),
    card_exp_month smallint not null check (card_exp_month between 1 and 12),
    card_exp_year smallint not null,
    failure_code text,
    failure_decline_code text,
    failure_message text,
    created timestamptz not null,
    primary key (merchant_id, id),
    unique (idempotency_key, merchant_id, mode),
    check ((amount_minor is null) = (currency is null)),
    check (status = 'pending' or amount_minor is not null),
    check ((status = 'pending') = (answered_as is null)),
    check ((status = 'failed') = (failure_code is not null)),
    check (amount_captured_minor <= amount_minor),
    check (amount_captured_minor = 0 or status = 'succeeded'),
    check (
        status <> 'succeeded' or capture_before is not null or amount_captured_minor = amount_minor
    )
) with (fillfactor = 70)
"""

BY_INTENT = "create index on transactions (payment_intent_id, merchant_id, id)"

ATTEMPTS = """
create table attempts (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    transaction_id text collate "C" not null,
    payment_intent_id text collate "C" not null,
    network text not null,
    kind text not null check (kind in ('authorization', 'capture')),
    status text not null check (
        status in ('recorded', 'succeeded', 'failed', 'timeout', 'reversed')
    ),
    amount_minor integer not null check (amount_minor between 1 and 99999999),
    currency text not null,
    stan text not null check (stan ~ '^[0-9]{6}$'),
    rrn text not null check (length(rrn) = 12),
    transmitted_at text not null check (transmitted_at ~ '^[0-9]{10}$'),
    terminal_id text collate "C" not null check (length(terminal_id) = 8),
    deadline timestamptz not null,
    response_code text,
    approval_code text,
    network_trace_id text collate "C",
    messages jsonb not null default '[]',
    reversal text check (reversal in ('pending', 'overdue', 'acknowledged')),
    reversal_reason text check (reversal_reason in ('4000', '4006', '4020', '4021')),
    reversal_due timestamptz,
    reversal_tries integer not null default 0 check (reversal_tries >= 0),
    reversal_stan text check (reversal_stan ~ '^[0-9]{6}$'),
    reversal_transmitted_at text check (reversal_transmitted_at ~ '^[0-9]{10}$'),
    reversal_terminal_id text collate "C" check (length(reversal_terminal_id) = 8),
    capture_before timestamptz,
    advice_due timestamptz,
    advice_tries integer not null default 0 check (advice_tries >= 0),
    version integer not null check (version > 0),
    created timestamptz not null,
    primary key (merchant_id, id),
    unique (transaction_id, merchant_id, kind),
    unique (network, rrn, kind),
    check ((reversal is null) = (reversal_reason is null)),
    check ((reversal is null) = (reversal_due is null)),
    check (status <> 'reversed' or reversal is not distinct from 'acknowledged'),
    check (kind = 'authorization' or (
        status in ('recorded', 'timeout', 'succeeded') and reversal is null
        and capture_before is null
    )),
    check ((advice_due is not null) = (kind = 'capture' and status in ('recorded', 'timeout'))),
    foreign key (merchant_id, transaction_id) references transactions (merchant_id, id)
) with (fillfactor = 70)
"""


NEVER_RECORDED = "create index on transactions (created) where answered_as is null"
OPEN = """
create index on attempts (network, stan)
    where status in ('recorded', 'timeout') or reversal in ('pending', 'overdue')
"""
RECORDED = "create index on attempts using brin (created) with (autosummarize = on)"
ADVICE_DUE = "create index on attempts (advice_due) where advice_due is not null"
DUE = "create index on attempts (reversal_due) where reversal in ('pending', 'overdue')"


def upgrade() -> None:
    """Create everything."""
    for statement in (
        TRANSACTIONS,
        BY_INTENT,
        ATTEMPTS,
        NEVER_RECORDED,
        OPEN,
        DUE,
        RECORDED,
        ADVICE_DUE,
        OUTBOX_DDL,
        *publication_ddl("paymesh_txn", ["outbox", "transactions", "attempts"]),
    ):
        op.execute(statement)
