"""The rules of reconciliation. No I/O."""
