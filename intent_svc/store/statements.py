"""The SQL of the intent store: each statement reads a set of items as JSON from `%(items)s`."""

from __future__ import annotations

CREATE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, mode text, amount_minor integer, currency text,
        capture_method text, partial_approval text, description text, metadata jsonb,
        created bigint,
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
    insert into payment_intents (merchant_id, id, mode, amount_minor, currency, capture_method,
        partial_approval, description, metadata, status, amount_captured_minor, version, created)
    select merchant_id, id, mode, amount_minor, currency, capture_method, partial_approval,
        description, metadata, 'created', 0, 1, to_timestamp(created)
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
select merchant_id, id, i.mode, amount_minor, currency, capture_method, partial_approval,
    description, metadata, status, amount_authorized_minor, amount_captured_minor,
    latest_transaction_id, failure_code, failure_decline_code, failure_message,
    amount_to_capture_minor, captures, capture_before, is_expiring, due, version, created
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
join payment_intents i using (merchant_id, id)
"""

CHANGE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, mode text, was integer, version integer, status text,
        amount_authorized_minor integer, amount_captured_minor integer,
        latest_transaction_id text, failure_code text,
        failure_decline_code text, failure_message text, amount_to_capture_minor integer,
        captures integer, capture_before bigint, is_expiring boolean, due double precision,
        event_id text, event_type text, event text, traceparent text, key text,
        request_hash text, response text, consumed_id text)
), change as (
    update payment_intents i set
        version = item.version, status = item.status,
        amount_authorized_minor = item.amount_authorized_minor,
        amount_captured_minor = item.amount_captured_minor,
        latest_transaction_id = item.latest_transaction_id,
        failure_code = item.failure_code, failure_decline_code = item.failure_decline_code,
        failure_message = item.failure_message,
        amount_to_capture_minor = item.amount_to_capture_minor, captures = item.captures,
        capture_before = to_timestamp(item.capture_before), is_expiring = item.is_expiring,
        due = to_timestamp(item.due)
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
    select event_id, 'payment_intent', id, event_type, decode(event, 'base64'), traceparent
    from change where event_id is not null
)
select id from change
"""

ANSWER = """
update idempotency_keys k set response = coalesce(k.response, decode(item.response, 'base64'))
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, mode text, key text, response text)
where k.merchant_id = item.merchant_id and k.mode = item.mode and k.key = item.key
returning k.merchant_id, k.mode, k.key, k.response
"""

CLAIM_DUE = """
with due as (
    select merchant_id, id from payment_intents
    where due <= %(now)s
    order by due
    limit %(limit)s
    for update skip locked
)
update payment_intents i set due = %(lease_until)s
from due where i.merchant_id = due.merchant_id and i.id = due.id
returning i.*
"""

HANDED_OVER = """
update payment_intents i set due = null
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, id text, version integer)
where i.merchant_id = item.merchant_id and i.id = item.id and i.version = item.version
"""
