"""Transactions, attempts, the outbox and its publication.

Primary keys alone begin with the merchant, so that no plan, made while a table is small, finds one
row by walking through all of its merchant's.
"""

from __future__ import annotations

from alembic import op

from chassis.access import service_ddl
from chassis.events import publication_ddl
from chassis.heartbeat import HEARTBEATS_DDL, HEARTBEATS_GRANTS
from chassis.outbox import keep_outbox_ddl, outbox_ddl
from chassis.relay import RELAY_DDL, RELAY_GRANTS
from chassis.retention import retention_ddl

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
    amount_approved_minor integer check (amount_approved_minor > 0),
    amount_captured_minor integer not null default 0 check (amount_captured_minor >= 0),
    capture_before timestamptz,
    card_brand text not null,
    card_last4 text not null check (card_last4 ~ '^[0-9]{4}$'),
    card_exp_month smallint not null check (card_exp_month between 1 and 12),
    card_exp_year smallint not null,
    card_bin text not null check (card_bin ~ '^[0-9]{6}$'),
    card_fingerprint text not null check (length(card_fingerprint) = 43),
    card_fingerprint_kid text not null,
    card_token text collate "C",
    failure_code text,
    failure_decline_code text,
    failure_message text,
    created timestamptz not null,
    purged timestamptz,  -- set in the transaction that deletes the row, for who reads its changes
    primary key (merchant_id, id),
    unique (idempotency_key, merchant_id, mode),
    check ((amount_minor is null) = (currency is null)),
    check (status = 'pending' or amount_minor is not null),
    check ((status = 'pending') = (answered_as is null)),
    check ((status = 'failed') = (failure_code is not null)),
    check (amount_captured_minor <= amount_approved_minor),
    check (amount_captured_minor = 0 or status = 'succeeded'),
    check (
        status <> 'succeeded' or capture_before is not null
        or amount_captured_minor = amount_approved_minor
    ),
    check (amount_approved_minor <= amount_minor),
    check ((status = 'succeeded') = (amount_approved_minor is not null))
) with (fillfactor = 70)
"""

BY_INTENT = "create index on transactions (payment_intent_id, merchant_id, id)"

# A card token is used up by the transaction that names it, for ever, whatever is left of the token.
USED_ONCE = """
create unique index transactions_card_token_key on transactions (card_token, merchant_id)
    where card_token is not null
"""

# Encrypted cards, of which nothing may be in WAL, replicas, backups or change capture: so the table
# is unlogged, empty after a crash, and no publication names it.
CARD_TOKENS = """
create unlogged table card_tokens (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    mode text not null check (mode in ('test', 'live')),
    payment_intent_id text collate "C" not null,
    kid text not null,
    sealed bytea not null,
    card_brand text not null,
    card_last4 text not null check (card_last4 ~ '^[0-9]{4}$'),
    card_exp_month smallint not null check (card_exp_month between 1 and 12),
    card_exp_year smallint not null,
    created timestamptz not null,
    expires timestamptz not null check (expires > created),
    primary key (merchant_id, id)
)
"""
TOKENS_BY_EXPIRY = "create index on card_tokens (expires)"

# Which encrypted cards were taken. It holds nothing of a card and outlasts a crash, after which one
# could be taken again otherwise; whose merchant's it was does not matter.
CARD_NONCES = """
create table card_nonces (
    nonce text collate "C" primary key,
    until timestamptz not null
)
"""
NONCES_BY_AGE = "create index on card_nonces (until)"

# The numbers of cards whose charges are open, each under a data key of its own. A reversal after a
# crash needs its card, so the table is logged; no publication names it. Most rows live for less
# than a second, so what they leave is cleared away early.
CARD_ENVELOPES = """
create table card_envelopes (
    merchant_id text collate "C" not null,
    transaction_id text collate "C" not null,
    kid text collate "C" not null,
    wrapped_key bytea not null check (length(wrapped_key) = 40),
    sealed bytea not null check (length(sealed) between 40 and 47),
    created timestamptz not null,
    primary key (merchant_id, transaction_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
"""
ENVELOPES_BY_KEY = "create index on card_envelopes (kid, merchant_id, transaction_id)"

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
    reversal_reason text check (reversal_reason in ('4000', '4006', '4020', '4021', '4351')),
    reversal_due timestamptz,
    reversal_tries integer not null default 0 check (reversal_tries >= 0),
    reversal_stan text check (reversal_stan ~ '^[0-9]{6}$'),
    reversal_transmitted_at text check (reversal_transmitted_at ~ '^[0-9]{10}$'),
    reversal_terminal_id text collate "C" check (length(reversal_terminal_id) = 8),
    capture_before timestamptz,
    advice_due timestamptz,
    advice_tries integer not null default 0 check (advice_tries >= 0),
    overdue_since timestamptz,
    capture_number integer not null default 0 check (capture_number >= 0),
    accepts_part boolean not null default false,
    amount_approved_minor integer check (amount_approved_minor > 0),
    version integer not null check (version > 0),
    created timestamptz not null,
    purged timestamptz,  -- as above
    primary key (merchant_id, id),
    unique (transaction_id, merchant_id, capture_number),
    unique (network, rrn, capture_number),
    check ((reversal is null) = (reversal_reason is null)),
    check ((reversal is null) = (reversal_due is null)),
    check (status <> 'reversed' or reversal is not distinct from 'acknowledged'),
    check (kind = 'authorization' or (
        status <> 'reversed' and reversal is null and capture_before is null
    )),
    check ((advice_due is not null) = (kind = 'capture' and status in ('recorded', 'timeout'))),
    check (overdue_since is null or (kind = 'capture' and status = 'timeout')),
    check ((kind = 'capture') = (capture_number > 0)),
    check (amount_approved_minor <= amount_minor),
    check (kind = 'authorization' or (not accepts_part and amount_approved_minor is null)),
    check (kind = 'capture' or status <> 'succeeded' or case when accepts_part
        then amount_approved_minor is not null
        else amount_approved_minor is not distinct from amount_minor end),
    foreign key (merchant_id, transaction_id) references transactions (merchant_id, id)
) with (fillfactor = 70)
"""

# Transactions that were taken back, and that their intents are to be told of.
ABANDONED_CLAIMS = """
create table abandoned_claims (
    merchant_id text collate "C" not null,
    transaction_id text collate "C" not null,
    payment_intent_id text collate "C" not null,
    created timestamptz not null,
    primary key (merchant_id, transaction_id)
)
"""
ABANDONED_BY_AGE = "create index on abandoned_claims (created)"

CREATED = "create index on transactions using brin (created) with (autosummarize = on)"
NEVER_RECORDED = "create index on transactions (created) where answered_as is null"
OPEN = """
create index on attempts (network, stan)
    where status in ('recorded', 'timeout') or reversal in ('pending', 'overdue')
"""
RECORDED = "create index on attempts using brin (created) with (autosummarize = on)"
# Whatever is asked, held funds are claimed once: by a capture that was not refused.
CLAIMED_ONCE = """
create unique index attempts_claimed_once on attempts (transaction_id, merchant_id)
    where kind = 'capture' and status <> 'failed'
"""
ADVICE_DUE = "create index on attempts (advice_due) where advice_due is not null"
DUE = "create index on attempts (reversal_due) where reversal in ('pending', 'overdue')"

GRANTS = {
    "transactions": "select, insert, update, delete",
    "attempts": "select, insert, update",
    "abandoned_claims": "select, insert, delete",
    "card_tokens": "select, insert, update, delete",  # a purge locks what it deletes
    "card_nonces": "select, insert, delete",
    "card_envelopes": "select, insert, update, delete",
    **HEARTBEATS_GRANTS,
    **RELAY_GRANTS,
    "purged_payments": "select",
}
RETENTION_GRANTS = {
    "transactions": "select, delete, update (purged)",
    "attempts": "select, delete, update (purged)",
    "card_envelopes": "select (merchant_id, transaction_id)",
}


def upgrade() -> None:
    """Create everything."""
    for statement in (
        TRANSACTIONS,
        BY_INTENT,
        CREATED,
        ATTEMPTS,
        NEVER_RECORDED,
        OPEN,
        DUE,
        RECORDED,
        ADVICE_DUE,
        CLAIMED_ONCE,
        ABANDONED_CLAIMS,
        ABANDONED_BY_AGE,
        USED_ONCE,
        CARD_TOKENS,
        TOKENS_BY_EXPIRY,
        CARD_NONCES,
        NONCES_BY_AGE,
        CARD_ENVELOPES,
        ENVELOPES_BY_KEY,
        *outbox_ddl(),
        *RELAY_DDL,
        *HEARTBEATS_DDL,
        *retention_ddl("txn_retention", RETENTION_GRANTS),
        *service_ddl("txn", GRANTS),
        *keep_outbox_ddl("txn"),
        *publication_ddl("paymesh_txn", ["outbox", "transactions", "attempts", "heartbeats"]),
    ):
        op.execute(statement)
