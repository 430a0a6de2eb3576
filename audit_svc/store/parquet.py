"""Records as they lie in the archive's files: Apache Parquet, a row for each, in order.

What Kafka keeps is there byte for byte. Of table CDC a few columns more say the same again, so that
it can be asked in SQL; whoever proves anything goes by `value`.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audit_svc.domain.record import Place, Record, read_change
from audit_svc.store.bloom import may_hold

START, END = b"paymesh.start", b"paymesh.end"
HEADER = pa.struct([("name", pa.string()), ("value", pa.binary())])
SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
        ("key", pa.binary()),
        ("headers", pa.list_(HEADER)),
        ("value", pa.binary()),
        ("op", pa.string()),
        ("table", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("committed", pa.timestamp("us", tz="UTC")),
        ("tx_id", pa.int64()),
        ("lsn", pa.int64()),
    ]
)
KEPT = ("topic", "partition", "offset", "timestamp", "key", "headers", "value")
REPEATED = ["topic", "key", "op", "table"]


class FileBroken(Exception):
    """A file of the archive can't be read, or is not what it should be; the text says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets that a file covers, the end not included."""

    start: int
    end: int


def to_parquet(records: Sequence[Record], span: Span) -> bytes:
    """Return a file of these records, which are of one partition and not none."""
    changes = [read_change(record) for record in records]
    columns: dict[str, list[Any]] = {
        "topic": [record.topic for record in records],
        "partition": [record.partition for record in records],
        "offset": [record.offset for record in records],
        "timestamp": [record.timestamp_ms for record in records],
        "key": [record.key for record in records],
        "headers": [
            [{"name": name, "value": value} for name, value in record.headers] for record in records
        ],
        "value": [record.value for record in records],
        "op": [change and change.op for change in changes],
        "table": [change and change.table for change in changes],
        "before": [_text(change.before) if change else None for change in changes],
        "after": [_text(change.after) if change else None for change in changes],
        "committed": [change and change.committed_us for change in changes],
        "tx_id": [change and change.tx_id for change in changes],
        "lsn": [change and change.lsn for change in changes],
    }
    return file_of(pa.Table.from_pydict(columns, schema=SCHEMA), span)


def file_of(table: pa.Table, span: Span) -> bytes:
    """Return a file of rows in the form of SCHEMA."""
    covered = {START: str(span.start), END: str(span.end)}
    file = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(covered),
        file,
        compression="zstd",
        compression_level=1,
        use_dictionary=REPEATED,
        bloom_filter_options={"key": {"ndv": table.num_rows, "fpp": 0.01}},
    )
    return file.getvalue()


def file_span(file: Any) -> Span:
    """Return which offsets a file covers. file: to be read in parts. Raises FileBroken."""
    return _span(_opened(file))


def read_records(raw: bytes) -> list[Record]:
    """Return the records of a file. Raises FileBroken."""
    return _records(_opened(io.BytesIO(raw)).read(columns=list(KEPT)))


def find_records(file: Any, wanted: Collection[bytes], since_ms: int) -> list[Record]:
    """Return a file's records of some keys, none of which is older than some time.

    file: to be read in parts; what can't hold one is not read. Raises FileBroken.
    """
    opened = _opened(file)
    if _newest_ms(opened) < since_ms or not _may_hold(file, opened, wanted):
        return []
    keys = opened.read(columns=["key"]).column("key").combine_chunks()
    is_wanted = pc.is_in(keys.dictionary, pa.array(wanted, pa.binary()))
    if not pc.any(is_wanted).as_py():
        return []
    rows = pc.indices_nonzero(is_wanted.take(keys.indices))
    return _records(opened.read(columns=list(KEPT)).take(rows))


def newest_ms(file: Any) -> int:
    """Return the time of a file's newest record. Raises FileBroken."""
    return _newest_ms(_opened(file))


def check_offsets(raw: bytes, place: Place, span: Span, records: int) -> None:
    """Raise FileBroken unless a file has so many records of a partition, in order, in a span."""
    opened = _opened(io.BytesIO(raw))
    if _span(opened) != span:
        raise FileBroken(f"covers {_span(opened)}, its manifest says {span}")
    found = opened.read(columns=["topic", "partition", "offset"])
    offsets = found.column("offset").combine_chunks()
    if len(offsets) != records or not records:
        raise FileBroken(f"holds {len(offsets)} records, its manifest says {records}")
    if offsets[0].as_py() < span.start or offsets[-1].as_py() != span.end - 1:
        raise FileBroken("holds other offsets than its manifest says")
    if len(offsets) > 1 and pc.min(pc.pairwise_diff(offsets)[1:]).as_py() < 1:
        raise FileBroken("holds records out of order")
    topics = found.column("topic").combine_chunks().dictionary.to_pylist()
    partitions = pc.min_max(found.column("partition")).as_py()
    if topics != [place.topic] or set(partitions.values()) != {place.partition}:
        raise FileBroken("holds records of another partition")


def _opened(file: Any) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, read_dictionary=REPEATED)
    except (pa.ArrowException, OSError) as broken:
        raise FileBroken("is no Parquet file") from broken


def _newest_ms(opened: pq.ParquetFile) -> int:
    newest = opened.metadata.row_group(0).column(KEPT.index("timestamp")).statistics.max
    return int(newest.timestamp() * 1000)


def _span(opened: pq.ParquetFile) -> Span:
    told = opened.schema_arrow.metadata or {}
    try:
        return Span(int(told[START]), int(told[END]))
    except (KeyError, ValueError):
        raise FileBroken("does not say which offsets it covers") from None


def _may_hold(file: Any, opened: pq.ParquetFile, keys: Collection[bytes]) -> bool:
    column = opened.metadata.row_group(0).column(KEPT.index("key"))
    file.seek(column.bloom_filter_offset)
    raw = file.read(column.bloom_filter_length)
    return any(may_hold(raw, key) for key in keys)


def _records(table: pa.Table) -> list[Record]:
    columns = [table.column(name) for name in KEPT]
    columns[KEPT.index("timestamp")] = columns[KEPT.index("timestamp")].cast(pa.int64())
    return [
        Record(topic, partition, offset, timestamp_ms, key, _headers(headers), value)
        for topic, partition, offset, timestamp_ms, key, headers, value in zip(
            *(column.to_pylist() for column in columns), strict=True
        )
    ]


def _headers(told: list[dict[str, Any]]) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((header["name"], header["value"]) for header in told)


def _text(row: dict[str, Any] | None) -> str | None:
    return None if row is None else orjson.dumps(row).decode()
