"""The tables of the txn database, as queries that are put together by code see them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()

transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("merchant_id", sa.Text(collation="C"), primary_key=True),
    sa.Column("id", sa.Text(collation="C"), primary_key=True),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("payment_intent_id", sa.Text(collation="C"), nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("answered_as", sa.Text),
    sa.Column("amount_minor", sa.Integer),
    sa.Column("currency", sa.Text),
    sa.Column("amount_captured_minor", sa.Integer, nullable=False),
    sa.Column("capture_before", sa.DateTime(timezone=True)),
    sa.Column("card_brand", sa.Text, nullable=False),
    sa.Column("card_last4", sa.Text, nullable=False),
    sa.Column("card_exp_month", sa.SmallInteger, nullable=False),
    sa.Column("card_exp_year", sa.SmallInteger, nullable=False),
    sa.Column("failure_code", sa.Text),
    sa.Column("failure_decline_code", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("merchant_id", sa.Text(collation="C"), primary_key=True),
    sa.Column("id", sa.Text(collation="C"), primary_key=True),
    sa.Column("transaction_id", sa.Text(collation="C"), nullable=False),
    sa.Column("payment_intent_id", sa.Text(collation="C"), nullable=False),
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("stan", sa.Text, nullable=False),
    sa.Column("rrn", sa.Text, nullable=False),
    sa.Column("transmitted_at", sa.Text, nullable=False),
    sa.Column("terminal_id", sa.Text(collation="C"), nullable=False),
    sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
    sa.Column("response_code", sa.Text),
    sa.Column("approval_code", sa.Text),
    sa.Column("network_trace_id", sa.Text(collation="C")),
    sa.Column("messages", JSONB, nullable=False),
    sa.Column("reversal", sa.Text),
    sa.Column("reversal_reason", sa.Text),
    sa.Column("reversal_due", sa.DateTime(timezone=True)),
    sa.Column("reversal_tries", sa.Integer, nullable=False),
    sa.Column("reversal_stan", sa.Text),
    sa.Column("reversal_transmitted_at", sa.Text),
    sa.Column("reversal_terminal_id", sa.Text(collation="C")),
    sa.Column("capture_before", sa.DateTime(timezone=True)),
    sa.Column("advice_due", sa.DateTime(timezone=True)),
    sa.Column("advice_tries", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
