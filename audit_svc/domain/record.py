"""A record of a topic as Kafka has it, and the row change that one of table CDC tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

CDC = "cdc."


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition:05d}"


@dataclass(frozen=True, slots=True)
class Record:
    """What Kafka keeps of a record, byte for byte. timestamp_ms: since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row change as Debezium tells of it.

    op: c (created), u (updated), d (deleted), r (read from the table), t (truncated).
    committed_us: when its transaction committed, by the database's clock, microseconds since 1970;
    of what was read, when it was. tx_id, lsn: the database's transaction, and the place in its WAL.
    is_reread: whether it was read since changes were lost, and not when the capture began.
    """

    op: str
    table: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    committed_us: int
    tx_id: int | None
    lsn: int | None
    is_reread: bool

    @property
    def is_purge(self) -> bool:
        """Whether a row was deleted because it was old and in the archive, which it said itself."""
        return self.op == "d" and (self.before or {}).get("purged") is not None


def read_change(record: Record) -> RowChange | None:
    """Return the row change that a record tells of, or None for one that tells of none."""
    if not record.topic.startswith(CDC) or record.value is None:
        return None
    try:
        told = orjson.loads(record.value)
        source = told["source"]
        return RowChange(
            op=str(told["op"]),
            table=str(source["table"]),
            before=told["before"],
            after=told["after"],
            committed_us=int(source["ts_us"]),
            tx_id=source["txId"],
            lsn=source["lsn"],
            is_reread=source.get("snapshot") == "incremental",
        )
    except (ValueError, TypeError, LookupError):
        return None  # it is archived as it is; who reads it sees that it is no row change
