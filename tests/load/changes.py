"""Writes row changes into a captured table, set-based, so many a second."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from chassis.ids import new_id, new_merchant_id

TOPIC = "cdc.intent.payment_intents"
STATEMENTS_S = 100  # or fewer, where a statement would have no row
INSERT = """
insert into payment_intents (merchant_id, id, mode, amount_minor, currency, capture_method,
    partial_approval, description, metadata, status, amount_captured_minor, version, created)
select %(merchant_id)s, id, 'test', 1099, 'usd', 'automatic', 'refused', 'Order 1234', '{}',
    'created', 0, 1, now()
from unnest(%(ids)s::text[]) as id
"""
UPDATE = """
update payment_intents p set status = 'processing', latest_transaction_id = 'txn_1', version = 2
from unnest(%(ids)s::text[]) as item(id)
where p.merchant_id = %(merchant_id)s and p.id = item.id
"""


class ChangeWriter:
    """Inserts rows and updates each once, as services do. written: changes so far."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._connection = psycopg.connect(status["databases"]["intent"], autocommit=True)
        self._merchant_id = new_merchant_id()
        self.written = 0

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()

    def write(self, rate: int, seconds: float) -> float:
        """Write for so long, open loop; return how many changes a second it came to."""
        began_s, before = time.monotonic(), self.written
        rows = max(1, rate // STATEMENTS_S)
        pause_s = 2 * rows / rate
        due_s = began_s
        while due_s < began_s + seconds:
            time.sleep(max(0.0, due_s - time.monotonic()))
            ids = [new_id("pi", self._merchant_id) for _ in range(rows)]
            for statement in (INSERT, UPDATE):
                wanted = {"merchant_id": self._merchant_id, "ids": ids}
                self._connection.execute(statement, wanted)
                self.written += rows
            due_s += pause_s
        return (self.written - before) / (time.monotonic() - began_s)
