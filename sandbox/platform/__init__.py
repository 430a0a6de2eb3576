"""The parts from packages: PostgreSQL, Kafka, Connect, Envoy, and certificates for them."""
