"""Clearing files: what the simulated networks write, what the reader makes of it."""
