"""Attempts as their events tell of them, and when to do something about them.

Primary keys alone begin with the merchant, so that no plan, made while a table is small, finds one
row by walking through all of its merchant's.
"""

from __future__ import annotations

from alembic import op

from chassis.access import service_ddl

revision = "0001"
down_revision = None

ATTEMPTS = """
create table attempts (
    merchant_id text collate "C" not null,
    id text collate "C" not null,
    mode text not null check (mode in ('test', 'live')),
    payment_intent_id text collate "C" not null,
    transaction_id text collate "C" not null,
    network text not null,
    kind text not null check (kind in ('authorization', 'capture')),
    is_hold boolean not null,
    status text not null check (
        status in ('recorded', 'succeeded', 'failed', 'timeout', 'reversed')
    ),
    reversal text check (reversal in ('pending', 'overdue', 'acknowledged')),
    amount_minor integer not null check (amount_minor between 1 and 99999999),
    accepts_part boolean not null default false,
    amount_approved_minor integer check (amount_approved_minor > 0),
    currency text not null check (currency ~ '^[a-z]{3}$'),
    stan text not null check (stan ~ '^[0-9]{6}$'),
    rrn text not null check (length(rrn) = 12),
    transmitted_at text not null check (transmitted_at ~ '^[0-9]{10}$'),
    response_code text,
    approval_code text,
    network_trace_id text collate "C",
    deadline timestamptz not null,
    created timestamptz not null,
    version integer not null check (version > 0),
    resolve_after timestamptz,
    inquiries integer not null default 0 check (inquiries >= 0),
    claim_id uuid,
    overdue_since timestamptz,
    primary key (merchant_id, id),
    check (resolve_after is null or status in ('recorded', 'timeout')),
    check (resolve_after is null or kind = 'authorization'),
    check (overdue_since is null or (kind = 'capture' and status = 'timeout')),
    check (amount_approved_minor <= amount_minor)
) with (fillfactor = 70)
"""

OPEN = "create index on attempts (deadline) where status in ('recorded', 'timeout')"
OVERDUE = "create index on attempts (id) where reversal = 'overdue'"
CAPTURE_OVERDUE = "create index on attempts (id) where overdue_since is not null"
DUE = "create index on attempts (resolve_after) where resolve_after is not null"
# For who purges; by what no other statement asks for, so that none goes through all of it.
SETTLED = "create index on attempts (deadline) where resolve_after is null"
SEEN = "create index on attempts using brin (created) with (autosummarize = on)"
BY_TRACE = "create index on attempts (network_trace_id) where network_trace_id is not null"
BY_RRN = "create index on attempts (rrn)"

GRANTS = {"attempts": "select, insert, update"}


def upgrade() -> None:
    """Create everything."""
    for statement in (
        *(ATTEMPTS, OPEN, OVERDUE, CAPTURE_OVERDUE, DUE, SETTLED, SEEN, BY_TRACE, BY_RRN),
        *service_ddl("recon", GRANTS),
    ):
        op.execute(statement)
