"""The captured tables of a service's database, read as the role that Debezium has there.

That role may read what is published, manage replication slots and add signals, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from audit_svc.domain.gaps import RowName, Shape, TableRow
from chassis.errors import ServiceUnavailable

ROWS_MAX = 10_000  # that are in memory at once
COLUMNS = """
select a.attname, format_type(a.atttypid, a.atttypmod), a.attnum = any(i.indkey)
from pg_attribute a
join pg_index i on i.indrelid = a.attrelid and i.indisprimary
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
SLOT = """
select wal_status, active, invalidation_reason,
    coalesce(confirmed_flush_lsn - '0/0'::pg_lsn, 0)::bigint,
    coalesce(pg_current_wal_lsn() - restart_lsn, 0)::bigint
from pg_replication_slots where slot_name = %s
"""
CHANGED_US = sql.SQL("(extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint")
CHANGED_SINCE = sql.SQL(
    "where pg_xact_commit_timestamp(xmin) >= to_timestamp({}::numeric / 1000000)"
)
# In what form a type is asked for; what stands nowhere here is JSON as it is. Debezium tells the
# same, once Shape.normal has seen it.
FORMS = {
    "timestamp with time zone": "(extract(epoch from {}) * 1000000)::bigint",
    "date": "{}::text",
    "jsonb": "{}::text",
    "bytea": r"replace(encode({}, 'base64'), E'\n', '')",
    "cidr[]": "{}::text[]",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot. status: PostgreSQL's `wal_status`; None where there is no such slot.

    confirmed: up to which position of the WAL Debezium has written everything to Kafka.
    retained_bytes: the WAL that it holds back.
    """

    status: str | None
    is_active: bool
    reason: str | None
    confirmed: int
    retained_bytes: int

    @property
    def is_lost(self) -> bool:
        """Whether nothing more will come from it."""
        return self.status in (None, "lost")


NO_SLOT = Slot(None, is_active=False, reason=None, confirmed=0, retained_bytes=0)


class CapturedDatabase:
    """A database with captured tables. url: as psycopg takes it. Raises ServiceUnavailable."""

    def __init__(self, url: str, slot: str) -> None:
        self._url = url
        self._slot = slot

    def shapes(self, tables: Iterable[str]) -> list[Shape]:
        """Return what columns these tables have."""
        with self._connection() as connection:
            return [_shape(connection, table) for table in tables]

    def now(self) -> tuple[int, int]:
        """Return the database's time, microseconds since 1970, and the end of its WAL."""
        asked = """select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
            (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"""
        with self._connection() as connection:
            [(now_us, position)] = connection.execute(asked).fetchall()
            return now_us, position

    def slot(self) -> Slot:
        """Return how the slot is."""
        with self._connection() as connection:
            row = connection.execute(SLOT, [self._slot]).fetchone()
            return NO_SLOT if row is None else Slot(*row)

    def drop_slot(self) -> None:
        """Remove the slot, which nobody may be reading from, if it is there."""
        with self._connection() as connection:
            connection.execute(
                "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                "where slot_name = %s",
                [self._slot],
            )

    def rows(self, shapes: Iterable[Shape], since_us: int) -> Iterator[TableRow]:
        """Yield the rows of these tables that were changed last since some time; 0 for all."""
        for shape in shapes:
            columns = list(shape.types)
            asked = sql.SQL("select {}, {changed} from {} {}").format(
                sql.SQL(", ").join(_form(shape, column) for column in columns),
                sql.Identifier(shape.table),
                CHANGED_SINCE.format(since_us) if since_us else sql.SQL(""),
                changed=CHANGED_US,
            )
            with self._connection() as connection, connection.cursor("rows") as cursor:
                cursor.itersize = ROWS_MAX
                for *values, changed_us in cursor.execute(asked):
                    row = dict(zip(columns, values, strict=True))
                    yield TableRow(shape.name_of(row), row, changed_us)

    def existing(self, shape: Shape, rows: Sequence[RowName]) -> set[RowName]:
        """Return which of these rows of a table are there."""
        asked = sql.SQL("select {} from {} where {}").format(
            sql.SQL(", ").join(map(sql.Identifier, shape.key)),
            sql.Identifier(shape.table),
            _these(shape, rows),
        )
        with self._connection() as connection:
            return {RowName(shape.table, key) for key in connection.execute(asked)}

    def ask_again(self, signal_id: str, shape: Shape, rows: Sequence[RowName]) -> None:
        """Tell Debezium to read these rows of a table again."""
        table = f"public.{shape.table}"
        with self._connection() as connection:
            chosen = _these(shape, rows).as_string(connection)
            condition = {"data-collection": table, "filter": chosen}
            asked = {
                "type": "incremental",
                "data-collections": [table],
                "additional-conditions": [condition],
            }
            connection.execute(
                "insert into debezium_signals (id, type, data) values (%s, 'execute-snapshot', %s)",
                [signal_id, json.dumps(asked)],
            )

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        try:
            with psycopg.connect(self._url) as connection:
                yield connection
        except psycopg.OperationalError as away:
            raise ServiceUnavailable from away


def _shape(connection: psycopg.Connection[tuple[Any, ...]], table: str) -> Shape:
    columns = connection.execute(COLUMNS, [f"public.{table}"]).fetchall()
    key = tuple(name for name, _, is_key in columns if is_key)
    return Shape(table, key, {name: type_ for name, type_, _ in columns})


def _these(shape: Shape, rows: Sequence[RowName]) -> sql.Composed:
    keys = [sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row.key))) for row in rows]
    columns = sql.SQL(", ").join(map(sql.Identifier, shape.key))
    return sql.SQL("({}) in ({})").format(columns, sql.SQL(", ").join(keys))


def _form(shape: Shape, column: str) -> sql.Composable:
    form = FORMS.get(shape.types[column], "{}")
    return sql.SQL(form).format(sql.Identifier(column))
