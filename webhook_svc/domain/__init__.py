"""The rules of endpoints, deliveries, signatures and addresses. No I/O."""
