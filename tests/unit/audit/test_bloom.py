"""The filter of a file's keys, as Arrow writes it: no key that is there is denied."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_svc.store.bloom import may_hold
from audit_svc.store.parquet import KEPT, Span, to_parquet
from tests.unit.audit.parts import a_record


def _filter(keys: list[str]) -> bytes:
    """Return the filter of a file with these keys."""
    records = [a_record(offset, key=key) for offset, key in enumerate(keys)]
    raw = to_parquet(records, Span(0, len(keys)))
    column = pq.ParquetFile(io.BytesIO(raw)).metadata.row_group(0).column(KEPT.index("key"))
    begin = column.bloom_filter_offset
    return raw[begin : begin + column.bloom_filter_length]


@settings(deadline=None, max_examples=40)
@given(keys=st.lists(st.text(max_size=40), min_size=1, max_size=200))
def test_no_key_that_is_there_is_denied(keys: list[str]) -> None:
    told = _filter(keys)

    assert all(may_hold(told, key.encode()) for key in keys)


def test_most_keys_that_are_not_there_are_denied() -> None:
    told = _filter([f"pi_{number}" for number in range(2_000)])

    wrong = sum(may_hold(told, f"pi_{number}".encode()) for number in range(10_000, 20_000))

    assert wrong < 300  # one in a hundred was asked for
