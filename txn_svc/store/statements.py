"""The SQL of txn_svc: most statements read a set of items as JSON from `%(items)s`."""

from __future__ import annotations

BEGIN = """
insert into transactions (merchant_id, id, mode, payment_intent_id, idempotency_key, request_hash,
    status, card_brand, card_last4, card_exp_month, card_exp_year, card_bin, card_fingerprint,
    card_fingerprint_kid, card_token, created)
select merchant_id, id, mode, payment_intent_id, key, decode(request_hash, 'base64'),
    'pending', card_brand, card_last4, card_exp_month, card_exp_year, card_bin, card_fingerprint,
    card_fingerprint_kid, card_token, to_timestamp(created)
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, id text, mode text, payment_intent_id text, key text, request_hash text,
    card_brand text, card_last4 text, card_exp_month smallint, card_exp_year smallint,
    card_bin text, card_fingerprint text, card_fingerprint_kid text, card_token text,
    created bigint)
where card_token is null or (
    select count(*) from card_tokens k
    where k.merchant_id = item.merchant_id and k.id = item.card_token and k.mode = item.mode
        and k.payment_intent_id = item.payment_intent_id and k.expires > to_timestamp(item.created)
) = 1
on conflict do nothing  -- the key or the token was used before
returning id
"""

INSERT_CARD_TOKEN = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, mode text, payment_intent_id text, kid text, sealed text,
        card_brand text, card_last4 text, card_exp_month smallint, card_exp_year smallint,
        created bigint, expires bigint, nonce text, nonce_until double precision)
), fresh as (
    insert into card_nonces (nonce, until) select nonce, to_timestamp(nonce_until) from item
    on conflict do nothing
    returning nonce
)
insert into card_tokens (merchant_id, id, mode, payment_intent_id, kid, sealed,
    card_brand, card_last4, card_exp_month, card_exp_year, created, expires)
select merchant_id, id, mode, payment_intent_id, kid, decode(sealed, 'base64'),
    card_brand, card_last4, card_exp_month, card_exp_year, to_timestamp(created),
    to_timestamp(expires)
from item join fresh using (nonce)
returning id
"""

READ_CARD_TOKEN = """
select k.* from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
join card_tokens k using (merchant_id, id)
"""

READ_TOKEN_USE = """
select t.id
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
    merchant_id text, mode text, card_token text)
join transactions t on t.card_token = item.card_token and t.merchant_id = item.merchant_id
    and t.mode = item.mode
"""

# It waits for nobody: what a charge is just using up, that charge deletes.
PURGE_CARD_TOKENS = """
with over as (
    select merchant_id, id from card_tokens where expires <= %(now)s for update skip locked
)
delete from card_tokens k using over where k.merchant_id = over.merchant_id and k.id = over.id
"""

FORGET_NONCES = "delete from card_nonces where until < %(now)s"

READ_BY_KEY = """
select t.*, to_jsonb(a) as attempt
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, mode text, key text)
join transactions t on t.merchant_id = item.merchant_id and t.mode = item.mode
    and t.idempotency_key = item.key
left join attempts a on a.merchant_id = t.merchant_id and a.transaction_id = t.id
    and a.capture_number = 0
"""

READ_TRANSACTION = """
select t.*, to_jsonb(a) as attempt, c.captures
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
join transactions t using (merchant_id, id)
left join attempts a on a.merchant_id = t.merchant_id and a.transaction_id = t.id
    and a.capture_number = 0
cross join lateral (
    select coalesce(jsonb_agg(to_jsonb(c) order by c.capture_number), '[]') as captures
    from attempts c
    where c.merchant_id = t.merchant_id and c.transaction_id = t.id and c.capture_number > 0
) c
"""

READ_ATTEMPT = """
select t.*, to_jsonb(a) as attempt
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, id text)
cross join lateral (
    select a.* from attempts a where a.merchant_id = item.merchant_id and a.id = item.id limit 1
) a
join transactions t on t.merchant_id = a.merchant_id and t.id = a.transaction_id
"""

READ_BY_RRN = """
select t.*, to_jsonb(a) as attempt
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(network text, rrn text)
join attempts a on a.network = item.network and a.rrn = item.rrn
join transactions t on t.merchant_id = a.merchant_id and t.id = a.transaction_id
"""

ABANDON = """
with unsent as (
    select item.* from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text)
    cross join lateral (
        select from transactions t
        where t.merchant_id = item.merchant_id and t.id = item.id and t.status = 'pending' and (
            select count(*) from attempts a
            where a.merchant_id = t.merchant_id and a.transaction_id = t.id
                and a.capture_number = 0
        ) = 0
        for update
    ) pending
), gone as (  -- a card token that it named is free again
    delete from transactions t using unsent
    where t.merchant_id = unsent.merchant_id and t.id = unsent.id
    returning t.merchant_id, t.id, t.payment_intent_id, t.created
)
insert into abandoned_claims (merchant_id, transaction_id, payment_intent_id, created)
select merchant_id, id, payment_intent_id, created from gone
"""

ABANDONED_CLAIMS = """
select merchant_id, transaction_id, payment_intent_id from abandoned_claims
where created <= %(before)s order by created limit %(limit)s
"""

FORGET_CLAIMS = """
delete from abandoned_claims c
using jsonb_to_recordset(cast(%(items)s as jsonb)) as item(merchant_id text, transaction_id text)
where c.merchant_id = item.merchant_id and c.transaction_id = item.transaction_id
"""

RECORD = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, transaction_id text, payment_intent_id text, network text,
        amount_minor integer, currency text, stan text, rrn text, transmitted_at text,
        terminal_id text, deadline bigint, created bigint, capture_before bigint,
        accepts_part boolean,
        kid text, wrapped_key text, sealed text, event_id text, event text, traceparent text)
), held as (
    select item.*, pending.card_token from item cross join lateral (
        select t.card_token from transactions t
        where t.merchant_id = item.merchant_id and t.id = item.transaction_id
            and t.status = 'pending'
        for share  -- whoever gives the transaction up waits, or has been waited for
    ) pending
), attempt as (
    insert into attempts (merchant_id, id, transaction_id, payment_intent_id, network, kind, status,
        amount_minor, currency, stan, rrn, transmitted_at, terminal_id, deadline, version,
        created, capture_before, accepts_part)
    select merchant_id, id, transaction_id, payment_intent_id, network, 'authorization', 'recorded',
        amount_minor, currency, stan, rrn, transmitted_at, terminal_id, to_timestamp(deadline), 1,
        to_timestamp(created), to_timestamp(capture_before), accepts_part
    from held
    on conflict (merchant_id, transaction_id, capture_number) do nothing
    returning id
), kept as (  -- for messages that follow, also from another process: its number, never its code
    insert into card_envelopes (merchant_id, transaction_id, kid, wrapped_key, sealed, created)
    select merchant_id, transaction_id, kid, decode(wrapped_key, 'base64'),
        decode(sealed, 'base64'), to_timestamp(created)
    from held join attempt using (id)
), spent as (  -- from now on the code is in the memory of the process that sends it, and there only
    delete from card_tokens k using held
    where k.merchant_id = held.merchant_id and k.id = held.card_token
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'attempt', payment_intent_id, 'attempt.recorded', decode(event, 'base64'),
        traceparent
    from held join attempt using (id)
)
select id from attempt
"""

RECORD_CAPTURE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, transaction_id text, payment_intent_id text, network text,
        amount_minor integer, currency text, stan text, rrn text, transmitted_at text,
        terminal_id text, deadline bigint, created bigint, advice_due double precision,
        capture_number integer, event_id text, event text, traceparent text)
), held as (
    select item.*, a.id as authorization_id from item cross join lateral (
        select a.id from attempts a
        where a.merchant_id = item.merchant_id and a.transaction_id = item.transaction_id
            and a.capture_number = 0 and a.status = 'succeeded' and a.reversal is null
            and a.capture_before is not null and a.amount_approved_minor >= item.amount_minor
        for update
    ) a
), touched as (  -- whoever is releasing it meanwhile looks again
    update attempts a set version = a.version + 1
    from held where a.merchant_id = held.merchant_id and a.id = held.authorization_id
), attempt as (
    insert into attempts (merchant_id, id, transaction_id, payment_intent_id, network, kind, status,
        amount_minor, currency, stan, rrn, transmitted_at, terminal_id, deadline, version,
        created, advice_due, capture_number)
    select merchant_id, id, transaction_id, payment_intent_id, network, 'capture', 'recorded',
        amount_minor, currency, stan, rrn, transmitted_at, terminal_id, to_timestamp(deadline), 1,
        to_timestamp(created), to_timestamp(advice_due), capture_number
    from held
    on conflict (merchant_id, transaction_id, capture_number) do nothing
    returning id
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'attempt', payment_intent_id, 'attempt.recorded', decode(event, 'base64'),
        traceparent
    from held join attempt using (id)
)
select id from attempt
"""

MOVE = """
with item as (
    select * from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(
        merchant_id text, id text, transaction_id text, payment_intent_id text,
        attempt_status text, attempt_approved_minor integer, came_from text[], response_code text,
        approval_code text, network_trace_id text, messages jsonb, version integer,
        reversal text, reversal_reason text, reversal_due double precision,
        reversal_tries integer, reversal_stan text, reversal_transmitted_at text,
        reversal_terminal_id text, advice_due double precision, advice_tries integer,
        overdue_since bigint,
        amount_minor integer, currency text, amount_approved_minor integer,
        amount_captured_minor integer, capture_before bigint, status text, answered_as text,
        failure_code text, failure_decline_code text, failure_message text, is_card_over boolean,
        event_id text, event_type text, event text, traceparent text)
), moved as (
    update attempts a set
        status = item.attempt_status, amount_approved_minor = item.attempt_approved_minor,
        response_code = item.response_code,
        approval_code = item.approval_code, network_trace_id = item.network_trace_id,
        messages = item.messages, version = item.version,
        reversal = item.reversal, reversal_reason = item.reversal_reason,
        reversal_due = to_timestamp(item.reversal_due), reversal_tries = item.reversal_tries,
        reversal_stan = item.reversal_stan,
        reversal_transmitted_at = item.reversal_transmitted_at,
        reversal_terminal_id = item.reversal_terminal_id,
        advice_due = to_timestamp(item.advice_due), advice_tries = item.advice_tries,
        overdue_since = to_timestamp(item.overdue_since)
    from item
    where a.merchant_id = item.merchant_id and a.id = item.id
        and a.version = item.version - 1 and a.status = any(item.came_from)
    returning item.*
), transaction as (
    update transactions t set
        amount_minor = moved.amount_minor, currency = moved.currency,
        amount_approved_minor = moved.amount_approved_minor,
        amount_captured_minor = moved.amount_captured_minor,
        capture_before = to_timestamp(moved.capture_before),
        status = moved.status, answered_as = moved.answered_as,
        failure_code = moved.failure_code,
        failure_decline_code = moved.failure_decline_code,
        failure_message = moved.failure_message
    from moved
    where t.merchant_id = moved.merchant_id and t.id = moved.transaction_id
        and (t.status is distinct from moved.status
            -- A note on an authorization may have been decided before its capture was acknowledged.
            or t.amount_captured_minor < moved.amount_captured_minor)
), shredded as (  -- with its data key the number is gone
    delete from card_envelopes e using moved
    where moved.is_card_over and e.merchant_id = moved.merchant_id
        and e.transaction_id = moved.transaction_id
), event as (
    insert into outbox (id, aggregatetype, aggregateid, type, payload, traceparent)
    select event_id, 'attempt', payment_intent_id, event_type, decode(event, 'base64'), traceparent
    from moved where event_id is not null
)
select id from moved
"""

CLAIM_REVERSALS = """
with due as (
    select merchant_id, id from attempts
    where reversal in ('pending', 'overdue') and reversal_due <= %(now)s
    order by reversal_due
    limit %(limit)s
    for update skip locked
), claimed as (
    update attempts a set reversal_due = %(lease_until)s
    from due where a.merchant_id = due.merchant_id and a.id = due.id
    returning a.*
)
select t.*, to_jsonb(c) as attempt
from claimed c join transactions t on t.merchant_id = c.merchant_id and t.id = c.transaction_id
"""

CLAIM_CAPTURES = """
with due as (
    select merchant_id, id from attempts
    where advice_due <= %(now)s
    order by advice_due
    limit %(limit)s
    for update skip locked
), claimed as (
    update attempts a set advice_due = %(lease_until)s
    from due where a.merchant_id = due.merchant_id and a.id = due.id
    returning a.*
)
select to_jsonb(a) as attempt, to_jsonb(c) as capture
from claimed c join attempts a on a.merchant_id = c.merchant_id
    and a.transaction_id = c.transaction_id and a.capture_number = 0
"""

OPEN_STANS = """
select network, stan from attempts
where status in ('recorded', 'timeout') or reversal in ('pending', 'overdue')
union all
select network, reversal_stan from attempts
where reversal in ('pending', 'overdue') and reversal_stan is not null
"""

COUNT_RECORDED = """
select count(*) as number from attempts
where created >= to_timestamp(%(created_from)s) and created < to_timestamp(%(created_until)s)
"""

NEVER_RECORDED = """
select t.*, null as attempt from transactions t
where t.answered_as is null and t.created <= %(before)s and (
    select count(*) from attempts a
    where a.merchant_id = t.merchant_id and a.transaction_id = t.id and a.capture_number = 0
) = 0
order by t.created
limit %(limit)s
"""

LOCK = """
select from transactions
where merchant_id = :merchant_id and id = :id and status = 'pending'
for update
"""

GIVE_UP = """
with given_up as (
    update transactions t set
        amount_minor = :amount_minor, currency = :currency, status = 'failed',
        answered_as = 'failed', failure_code = :failure_code, failure_message = :failure_message
    where t.merchant_id = :merchant_id and t.id = :id and t.status = 'pending' and (
        select count(*) from attempts a
        where a.merchant_id = t.merchant_id and a.transaction_id = t.id
            and a.capture_number = 0
    ) = 0
    returning t.id, t.merchant_id, t.card_token
), spent as (
    delete from card_tokens k using given_up
    where k.merchant_id = given_up.merchant_id and k.id = given_up.card_token
)
insert into outbox (id, aggregatetype, aggregateid, type, payload)
select :event_id, 'attempt', :payment_intent_id, 'transaction.abandoned', :event from given_up
returning true
"""
