"""Connections to card networks: ISO 8583:1987 over TLS. Knows no merchants and no databases."""
