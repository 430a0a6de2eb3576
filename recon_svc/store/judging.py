"""Lines of clearing files against attempts, in sets: what each line comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import Database
from chassis.ids import AttemptId, MerchantId
from recon_svc.domain.breaks import BreakKind, NewBreak
from recon_svc.domain.resolution import GRACE_S, OpenAttempt
from recon_svc.store.breaks import insert_breaks
from recon_svc.store.clearing import IMPORT_LOCK, LOCK

LINES_AT_ONCE = 5000
LOOK_AGAIN = timedelta(seconds=5)
LOOK_AGAIN_MAX = timedelta(hours=1)
UNKNOWN_AFTER = timedelta(seconds=60)  # an attempt's events may come later than its file
GIVE_UP_AFTER = timedelta(days=2)

TO_JUDGE = """
select id, judged_to from clearing_files where status = 'loaded' order by id limit 1
"""

NEXT_SET = """
select max(number) as upto from (
    select number from clearing_lines where file = %(file)s and number > %(after)s
    order by number limit %(limit)s) as following
"""

FRESH = """
    select l.* from clearing_lines l
    where l.file = %(file)s and l.number > %(after)s and l.number <= %(upto)s
"""

IS_DUE = "select from clearing_lines where look_after <= %(now)s limit 1"

DUE = """
    select l.* from clearing_lines l
    where l.look_after <= %(now)s order by l.look_after limit %(limit)s
"""

# What is held is presented by its capture, which has the authorization's RRN: the last one, since
# the network refused those before.
CAPTURE = """left join attempts c
            on a.is_hold and c.rrn = a.rrn and c.network = a.network and c.kind = 'capture'
"""

# How a line finds its attempt: by the network's own id of the exchange; by an ARN that was matched
# before; by RRN with STAN (where the format has it) and date. Then what it comes to. `age` is the
# file's: it says how patient to be.
JUDGE = """
with due as materialized ({due}),
found as (
    select due.file, due.number, due.network, due.amount_minor, due.currency,
        due.network_trace_id, due.approval_code, f.business_date, f.created as taken,
        coalesce(by_trace.merchant_id, by_arn.merchant_id, by_rrn.merchant_id) as merchant_id,
        coalesce(by_trace.attempt_id, by_arn.attempt_id, by_rrn.attempt_id) as attempt_id,
        case when by_trace.attempt_id is not null then 'network_trace_id'
            when by_arn.attempt_id is not null then 'arn'
            when by_rrn.attempt_id is not null then 'rrn' end as matched_by
    from due
    join clearing_files f on f.id = due.file
    left join lateral (
        select a.merchant_id, coalesce(c.id, a.id) as attempt_id from attempts a {capture}
        where a.network_trace_id = due.network_trace_id and a.network = due.network
        order by a.created desc, c.id desc limit 1) by_trace on true
    left join lateral (
        select l.merchant_id, l.attempt_id from clearing_lines l
        where by_trace.attempt_id is null and l.arn = due.arn and l.attempt_id is not null
            and l.network = due.network
        order by l.file, l.number limit 1) by_arn on true
    left join lateral (
        select a.merchant_id, coalesce(c.id, a.id) as attempt_id from attempts a {capture}
        where by_trace.attempt_id is null and by_arn.attempt_id is null and a.rrn = due.rrn
            and a.network = due.network and (due.stan is null or a.stan = due.stan)
            and substr(a.transmitted_at, 1, 4) = to_char(due.local_date, 'MMDD')
        order by a.created desc, c.id desc limit 1) by_rrn on true
),
beside as (
    select found.*, a.payment_intent_id, a.status, a.reversal,
        coalesce(a.amount_approved_minor, a.amount_minor) as our_amount_minor,
        a.accepts_part, a.currency as our_currency,
        a.status in ('recorded', 'timeout') as is_open, a.kind, a.is_hold,
        a.status = 'timeout' or a.deadline < %(expired)s as is_expired,
        row_number() over (
            partition by found.merchant_id, found.attempt_id order by found.file, found.number) > 1
        or exists (
            select from clearing_lines other
            where other.merchant_id = found.merchant_id and other.attempt_id = found.attempt_id
                and other.attempt_id is not null and other.verdict <> 'duplicate_line'
                and (other.file, other.number) <> (found.file, found.number)
        ) as is_duplicate
    from found left join attempts a
        on a.merchant_id = found.merchant_id and a.id = found.attempt_id
),
judged as (
    select beside.*, case
        when attempt_id is null and taken > %(unknown_since)s then 'waiting'
        when attempt_id is null then 'missing_at_us'
        when is_duplicate then 'duplicate_line'
        when status = 'reversed' or reversal = 'acknowledged' then 'presentment_after_reversal'
        when reversal is not null then 'waiting'
        when status = 'failed' then 'presentment_without_authorization'
        when is_hold and not is_open then 'presentment_without_authorization'
        when is_open and is_expired and kind = 'authorization' and not is_hold
            and currency = our_currency and (amount_minor = our_amount_minor
                or accepts_part and amount_minor between 1 and our_amount_minor) then 'open'
        when is_open then 'waiting'
        when currency <> our_currency then 'currency_mismatch'
        when amount_minor > our_amount_minor then 'amount_over'
        when amount_minor < our_amount_minor then 'amount_under'
        else 'matched' end as verdict
    from beside
),
changed as (
    update clearing_lines l
    set merchant_id = j.merchant_id, attempt_id = j.attempt_id, matched_by = j.matched_by,
        verdict = j.verdict,
        look_after = case
            when j.verdict = 'open' then %(now)s + %(look_again)s
            when j.verdict = 'waiting' or j.verdict = 'missing_at_us' and j.taken > %(give_up)s
                then %(now)s + least(
                    greatest(%(now)s - j.taken, %(look_again)s), %(look_again_max)s)
            end
    from judged j where l.file = j.file and l.number = j.number
)
select file, number, network, business_date, verdict, merchant_id, attempt_id, payment_intent_id,
    amount_minor, currency, our_amount_minor, our_currency, network_trace_id, approval_code
from judged where verdict not in ('matched', 'waiting')
"""

JUDGED_TO = "update clearing_files set judged_to = %(upto)s where id = %(file)s"

JUDGED = "update clearing_files set status = 'taken' where id = %(file)s and status = 'loaded'"


class JudgingStore:
    """The only owner of what lines come to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def judge_file(self, now: datetime) -> list[OpenAttempt] | None:
        """Judge the next lines of a file that was loaded; None when there is no more.

        Returns the attempts that these lines settle.
        """
        async with self._database.transaction() as connection:
            await connection.exec_driver_sql(LOCK, {"lock": IMPORT_LOCK})
            file = (await connection.exec_driver_sql(TO_JUDGE)).mappings().first()
            if file is None:
                return None
            part = {"file": file["id"], "after": file["judged_to"], "limit": LINES_AT_ONCE}
            upto = (await connection.exec_driver_sql(NEXT_SET, part)).scalar_one()
            if upto is None:
                await connection.exec_driver_sql(JUDGED, part)
                return []
            part["upto"] = upto
            opened = await _judge(connection, FRESH, now, part)
            await connection.exec_driver_sql(JUDGED_TO, part)
            return opened

    async def look_again(self, now: datetime) -> list[OpenAttempt] | None:
        """Judge lines that waited until now; None when there are no more.

        Returns the attempts that these lines settle.
        """
        async with self._database.transaction() as connection:
            await connection.exec_driver_sql(LOCK, {"lock": IMPORT_LOCK})
            if (await connection.exec_driver_sql(IS_DUE, {"now": now})).first() is None:
                return None
            return await _judge(connection, DUE, now, {"limit": LINES_AT_ONCE})


async def _judge(
    connection: AsyncConnection, due: str, now: datetime, part: dict[str, Any]
) -> list[OpenAttempt]:
    parameters = {
        **part,
        "now": now,
        "expired": now - timedelta(seconds=GRACE_S),
        "unknown_since": now - UNKNOWN_AFTER,
        "give_up": now - GIVE_UP_AFTER,
        "look_again": LOOK_AGAIN,
        "look_again_max": LOOK_AGAIN_MAX,
    }
    result = await connection.exec_driver_sql(JUDGE.format(due=due, capture=CAPTURE), parameters)
    rows = result.mappings().all()
    await insert_breaks(connection, [_break(row) for row in rows if row["verdict"] != "open"], now)
    return _opened([row for row in rows if row["verdict"] == "open"])


def _break(row: Any) -> NewBreak:
    return NewBreak(
        kind=BreakKind(row["verdict"]),
        subject=f"line:{row['file']}:{row['number']}",
        network=row["network"],
        business_date=row["business_date"],
        merchant_id=row["merchant_id"],
        payment_intent_id=row["payment_intent_id"],
        attempt_id=row["attempt_id"],
        file=row["file"],
        line=row["number"],
        our_amount_minor=row["our_amount_minor"],
        our_currency=row["our_currency"],
        their_amount_minor=row["amount_minor"],
        their_currency=row["currency"],
    )


def _opened(rows: Sequence[Any]) -> list[OpenAttempt]:
    return [
        OpenAttempt(
            merchant_id=MerchantId(row["merchant_id"]),
            attempt_id=AttemptId(row["attempt_id"]),
            amount_minor=row["amount_minor"],
            approval_code=row["approval_code"],
            network_trace_id=row["network_trace_id"],
        )
        for row in rows
    ]
