"""Attempts as reconciliation keeps them, in PostgreSQL."""
