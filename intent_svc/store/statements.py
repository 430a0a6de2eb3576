"""The SQL of the intent store: each statement reads a set of items as JSON from `%(items)s`."""

from __future__ import annotations

CREATE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, mode text, amount_minor integer, currency text,
        description text, metadata jsonb, created bigint,
        event_id text, event text, traceparent text, key text, request_hash text, response text)
), key as (
    insert into idempotency_keys (merchant_id, mode, key, request_hash, response)
    select merchant_id, mode, key, decode(request_hash, 'base64'), decode(response, 'base64')
    from item where key is not null
    on conflict do nothing
    returning merchant_id, mode, key
), fresh as (
    select item.* from item left join key using (merchant_id, mode, key)
    where item.key is null or key.key is not null
), intent as (
    insert into payment_intents (merchant_id, id, mode, amount_minor, currency, description,
        metadata, status, amount_captured_minor, version, created)
    select merchant_id, id, mode, amount_minor, currency, description, metadata, 'created', 0, 1,
        to_timestamp(created)
    from fresh
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'payment_intent', id, 'payment.created', decode(event, 'base64'), traceparent
    from fresh
)
select id from fresh
"""

READ_KEYS = """
select merchant_id, mode, key, request_hash, response
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, mode text, key text)
join idempotency_keys using (merchant_id, mode, key)
"""

READ = """
select merchant_id, id, i.mode, amount_minor, currency, description, metadata, status,
    amount_captured_minor, latest_transaction_id, failure_code, failure_decline_code,
    failure_message, version, created
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
join payment_intents i using (merchant_id, id)
"""

CHANGE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, mode text, was integer, version integer, status text,
        amount_captured_minor integer, latest_transaction_id text, failure_code text,
        failure_decline_code text, failure_message text, event_id text, event text,
        traceparent text, key text, request_hash text, response text, consumed_id text)
), change as (
    update payment_intents i set
        version = item.version, status = item.status,
        amount_captured_minor = item.amount_captured_minor,
        latest_transaction_id = item.latest_transaction_id,
        failure_code = item.failure_code, failure_decline_code = item.failure_decline_code,
        failure_message = item.failure_message
    from item
    where i.merchant_id = item.merchant_id and i.id = item.id and i.version = item.was
    returning item.*
), key as (
    insert into idempotency_keys (merchant_id, mode, key, request_hash, response)
    select merchant_id, mode, key, decode(request_hash, 'base64'), decode(response, 'base64')
    from change where key is not null
), consumed as (
    insert into consumed_events (consumer, event_id)
    select 'intent-attempts', consumed_id from change where consumed_id is not null
    on conflict do nothing
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'payment_intent', id, 'payment.' || status, decode(event, 'base64'),
        traceparent
    from change where event_id is not null
)
select id from change
"""
