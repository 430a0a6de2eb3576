"""What audit_svc does: archive, verify, tell a payment's story."""
