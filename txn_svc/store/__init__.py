"""Transactions and attempts in PostgreSQL."""
