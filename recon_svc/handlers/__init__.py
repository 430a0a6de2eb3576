"""The use cases of reconciliation: attempts, clearing files, breaks."""
