"""The webhook tables: what merchants change, what the dispatcher works through."""
