"""Connections to card networks: ISO 8583:1987 over TCP. Knows no merchants and no databases."""
