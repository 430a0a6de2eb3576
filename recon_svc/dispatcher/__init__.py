"""What reconciliation does by itself in the background."""
