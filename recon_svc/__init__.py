"""Reconciliation with the card networks' own books; not built yet."""
