"""Payment intents: what a merchant wants to collect, and where that stands. Knows no cards."""
