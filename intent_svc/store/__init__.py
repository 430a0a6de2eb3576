"""Payment intents in PostgreSQL."""
