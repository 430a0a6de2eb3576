"""The simulated card networks: external systems with issuers behind them and books of their own."""
