"""gRPC in: public transactions, and attempts as reconciliation resolves them."""
