"""The tables of the recon database, as queries that are put together by code see them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("merchant_id", sa.Text(collation="C"), primary_key=True),
    sa.Column("id", sa.Text(collation="C"), primary_key=True),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("payment_intent_id", sa.Text(collation="C"), nullable=False),
    sa.Column("transaction_id", sa.Text(collation="C"), nullable=False),
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("is_hold", sa.Boolean, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reversal", sa.Text),
    sa.Column("amount_minor", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("stan", sa.Text, nullable=False),
    sa.Column("rrn", sa.Text, nullable=False),
    sa.Column("transmitted_at", sa.Text, nullable=False),
    sa.Column("response_code", sa.Text),
    sa.Column("approval_code", sa.Text),
    sa.Column("network_trace_id", sa.Text(collation="C")),
    sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("resolve_after", sa.DateTime(timezone=True)),
    sa.Column("inquiries", sa.Integer, nullable=False),
    sa.Column("claim_id", sa.Uuid),
    sa.Column("overdue_since", sa.DateTime(timezone=True)),
    sa.Column("accepts_part", sa.Boolean, nullable=False),
    sa.Column("amount_approved_minor", sa.Integer),
)
