"""Webhook endpoints, deliveries, retries and replays. Knows no rules of payments."""
