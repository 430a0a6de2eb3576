"""Transactions, attempts and the connections to card networks. Knows no webhooks."""
