"""What is archived: every topic of table CDC and of events, but for heartbeats."""

from __future__ import annotations

EVENTS = ["events.payment_intent", "events.attempt"]
# Their keys are payment intents, so a payment's story lies in one partition of each.
BY_PAYMENT = [
    "cdc.intent.payment_intents",
    "cdc.txn.transactions",
    "cdc.txn.attempts",
    "cdc.recon.breaks",
]
TOPICS = [
    *EVENTS,
    *BY_PAYMENT,
    "cdc.recon.clearing_files",
    "cdc.webhook.webhook_endpoints",
    "cdc.authz.merchants",
    "cdc.authz.api_keys",
    "cdc.authz.api_key_changes",
    "cdc.authz.payment_domains",
]
# These are watched and not archived: a row a second of each database, which proves nothing later.
HEARTBEATS = {
    f"cdc.{service}.heartbeats": service
    for service in ("intent", "txn", "recon", "webhook", "authz")
}
