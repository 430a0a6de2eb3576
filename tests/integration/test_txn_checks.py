"""The database's own rules of money for transactions and attempts, broken one by one."""

from __future__ import annotations

import json

import pytest
from psycopg import IntegrityError

from chassis.database import Database
from chassis.identity import Caller
from tests.integration.check_parts import checks, refusing_check
from tests.integration.txn_parts import APPROVED, DECLINED, TxnProcess
from txn_svc.domain.transaction import NO_ANSWER, Transaction

pytestmark = pytest.mark.integration

# A row's state, a change of it, and the check that refuses the change. Checks of several columns
# are numbered as in the migration.
TRANSACTION_RULES = [
    ("begun", "mode = 'prod'", "mode_check"),
    ("begun", "idempotency_key = ''", "idempotency_key_check"),
    ("begun", "idempotency_key = repeat('k', 256)", "idempotency_key_check"),
    ("begun", "request_hash = 'short'", "request_hash_check"),
    ("unknown", "status = 'lost'", "status_check"),
    ("unknown", "answered_as = 'pending'", "answered_as_check"),
    ("paid", "amount_minor = 0", "amount_minor_check"),
    ("paid", "amount_minor = 100000000", "amount_minor_check"),
    ("paid", "currency = 'USD'", "currency_check"),
    ("begun", "card_last4 = '42424242'", "card_last4_check"),
    ("begun", "card_exp_month = 13", "card_exp_month_check"),
    ("begun", "card_bin = '42424242'", "card_bin_check"),
    ("begun", "card_fingerprint = card_bin", "card_fingerprint_check"),
    ("paid", "amount_minor = null", "check"),
    ("paid", "currency = null", "check"),
    ("begun", "status = 'succeeded', answered_as = 'succeeded'", "check1"),
    ("paid", "amount_minor = null, currency = null", "check1"),
    ("recorded", "status = 'succeeded', amount_minor = 1, currency = 'usd'", "check2"),
    ("recorded", "answered_as = 'succeeded'", "check2"),
    ("unknown", "answered_as = null", "check2"),
    ("unknown", "status = 'failed'", "check3"),
    ("declined", "failure_code = null", "check3"),
    ("paid", "failure_code = 'card_declined'", "check3"),
    ("paid", "amount_captured_minor = -1", "amount_captured_minor_check"),
    ("paid", "amount_captured_minor = amount_minor + 1", "check4"),
    ("unknown", "amount_captured_minor = 1", "check5"),
    ("paid", "amount_captured_minor = amount_minor - 1", "check6"),
    ("paid", "amount_approved_minor = 0", "amount_approved_minor_check"),
    ("paid", "amount_approved_minor = amount_minor - 1", "check4"),
    (
        "paid",
        "amount_approved_minor = amount_minor + 1, amount_captured_minor = amount_minor + 1",
        "check7",
    ),
    ("paid", "amount_approved_minor = null", "check8"),
    ("declined", "amount_approved_minor = 1", "check8"),
    ("unknown", "amount_approved_minor = 1", "check8"),
]
COPY_ATTEMPT = """
insert into attempts
select (jsonb_populate_record(attempts, cast(%(change)s as jsonb))).* from attempts
where id = %(id)s
"""
ATTEMPT_RULES = [
    ("status = 'lost'", "status_check"),
    ("amount_minor = 0", "amount_minor_check"),
    ("amount_minor = 100000000", "amount_minor_check"),
    ("stan = '12345'", "stan_check"),
    ("rrn = 'short'", "rrn_check"),
    ("transmitted_at = 'noon'", "transmitted_at_check"),
    ("version = 0", "version_check"),
    ("terminal_id = 'short'", "terminal_id_check"),
    ("reversal = 'lost', reversal_reason = '4021', reversal_due = now()", "reversal_check"),
    ("reversal = 'pending', reversal_reason = '1', reversal_due = now()", "reversal_reason_check"),
    ("reversal = 'pending', reversal_due = now()", "check"),
    ("reversal = 'pending', reversal_reason = '4021'", "check1"),
    ("status = 'reversed'", "check2"),
    ("reversal_tries = -1", "reversal_tries_check"),
    ("reversal_stan = '1'", "reversal_stan_check"),
    ("reversal_transmitted_at = 'noon'", "reversal_transmitted_at_check"),
    ("reversal_terminal_id = 'short'", "reversal_terminal_id_check"),
    ("advice_tries = -1", "advice_tries_check"),
    ("kind = 'refund'", "kind_check"),
    ("kind = 'capture', capture_number = 1, advice_due = now(), capture_before = now()", "check3"),
    ("kind = 'capture', capture_number = 1", "check4"),
    ("kind = 'capture', capture_number = 1, advice_due = now(), status = 'failed'", "check4"),
    ("kind = 'capture', capture_number = 1, advice_due = now(), status = 'succeeded'", "check4"),
    ("advice_due = now()", "check4"),
    ("overdue_since = now()", "check5"),
    (
        "kind = 'capture', capture_number = 1, advice_due = now(), overdue_since = now()",
        "check5",
    ),
    ("capture_number = 1", "check6"),
    ("kind = 'capture', advice_due = now()", "check6"),
    ("capture_number = -1", "capture_number_check"),
    ("amount_approved_minor = 0", "amount_approved_minor_check"),
    ("amount_approved_minor = amount_minor + 1", "check7"),
    ("kind = 'capture', capture_number = 1, advice_due = now(), accepts_part = true", "check8"),
    (
        "kind = 'capture', capture_number = 1, advice_due = now(), amount_approved_minor = 1",
        "check8",
    ),
    ("status = 'succeeded'", "check9"),
    ("status = 'succeeded', accepts_part = true", "check9"),
    ("status = 'succeeded', amount_approved_minor = amount_minor - 1", "check9"),
]


@pytest.fixture
def process(txn_databases: list[Database]) -> TxnProcess:
    return TxnProcess(txn_databases[0])


async def _a_transaction(process: TxnProcess, caller: Caller, state: str) -> Transaction:
    if state == "begun":
        return await process.begun(caller)
    if state == "recorded":
        return (await process.recorded(caller)).transaction
    outcome = {"paid": APPROVED, "declined": DECLINED, "unknown": NO_ANSWER}[state]
    return (await process.settled(caller, outcome)).transaction


@pytest.mark.parametrize(("state", "change", "constraint"), TRANSACTION_RULES)
async def test_the_database_refuses_what_breaks_a_rule_of_transactions(
    process: TxnProcess, caller: Caller, state: str, change: str, constraint: str
) -> None:
    transaction = await _a_transaction(process, caller, state)

    check = await refusing_check(process.database, "transactions", transaction.id, change)

    assert check == constraint


@pytest.mark.parametrize(("change", "constraint"), ATTEMPT_RULES)
async def test_the_database_refuses_what_breaks_a_rule_of_attempts(
    process: TxnProcess, caller: Caller, change: str, constraint: str
) -> None:
    step = await process.recorded(caller)

    check = await refusing_check(process.database, "attempts", step.attempt.id, change)

    assert check == constraint


async def test_every_check_of_the_database_is_broken_above(process: TxnProcess) -> None:
    names = [await checks(process.database, table) for table in ("transactions", "attempts")]

    assert names == [{name for *_, name in TRANSACTION_RULES}, {name for _, name in ATTEMPT_RULES}]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({}, "attempts_pkey"),
        ({"id": "att_2"}, "attempts_transaction_id_merchant_id_capture_number_key"),
        ({"id": "att_2", "transaction_id": "txn_2"}, "attempts_network_rrn_capture_number_key"),
        (
            {"id": "att_2", "transaction_id": "txn_2", "rrn": "R00000000002"},
            "attempts_merchant_id_transaction_id_fkey",
        ),
    ],
)
async def test_the_database_refuses_a_second_attempt_and_one_of_nobody_s(
    process: TxnProcess, caller: Caller, change: dict[str, str], key: str
) -> None:
    step = await process.recorded(caller)

    with pytest.raises(IntegrityError) as refused:
        await process.database.fetch(COPY_ATTEMPT, change=json.dumps(change), id=step.attempt.id)

    assert refused.value.diag.constraint_name == key
