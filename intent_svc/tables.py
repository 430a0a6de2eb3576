"""The tables of the intent database, as queries that are put together by code see them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()

payment_intents = sa.Table(
    "payment_intents",
    metadata,
    sa.Column("merchant_id", sa.Text(collation="C"), primary_key=True),
    sa.Column("id", sa.Text(collation="C"), primary_key=True),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("capture_method", sa.Text, nullable=False),
    sa.Column("partial_approval", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("metadata", JSONB, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("amount_authorized_minor", sa.Integer, nullable=False),
    sa.Column("amount_captured_minor", sa.Integer, nullable=False),
    sa.Column("latest_transaction_id", sa.Text(collation="C")),
    sa.Column("failure_code", sa.Text),
    sa.Column("failure_decline_code", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("amount_to_capture_minor", sa.Integer),
    sa.Column("captures", sa.Integer, nullable=False),
    sa.Column("capture_before", sa.DateTime(timezone=True)),
    sa.Column("is_expiring", sa.Boolean, nullable=False),
    sa.Column("due", sa.DateTime(timezone=True)),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("purged", sa.DateTime(timezone=True)),
)
