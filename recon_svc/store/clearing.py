"""Clearing files and their lines in PostgreSQL: a file is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database import Database
from recon_svc.domain.clearing import (
    ClearingLine,
    FileHeader,
    FileItem,
    FileRejected,
    FileTotals,
    LineRejected,
)
from recon_svc.domain.clearing_file import ClearingFile, FileStatus, InboxFile, Refusal

IMPORT_LOCK = 0x636C656172  # "clear"; one process writes and judges lines at a time

UNKNOWN = """
select item.name, item.version
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(name text, version text)
where not exists (
    select from clearing_files f where f.name = item.name and f.version = item.version)
"""

FILES = """
select f.id, f.name, f.network, f.file_id, f.business_date, f.status, f.refused_field,
    f.refused_reason, f.refused_record, f.presentments, f.rejected, f.created
from jsonb_to_recordset(cast(%(items)s as jsonb)) as item(name text, version text)
join clearing_files f on f.name = item.name and f.version = item.version
order by f.id
"""

REFUSE = """
insert into clearing_files (name, version, network, file_id, business_date, status, refused_field,
    refused_reason, refused_record, created)
values (%(name)s, %(version)s, %(network)s, %(file_id)s, %(business_date)s, 'refused', %(field)s,
    %(reason)s, %(record)s, %(now)s)
on conflict (name, version) do nothing
"""

LOCK = "select pg_advisory_xact_lock(%(lock)s)"

TAKEN_BEFORE = """
select name, version = %(version)s and name = %(name)s as is_this from clearing_files
where (name = %(name)s and version = %(version)s)
    or (network = %(network)s and file_id = %(file_id)s and status <> 'refused')
order by is_this desc limit 1
"""

NEXT_ID = "select nextval(pg_get_serial_sequence('clearing_files', 'id')) as id"

COPY_LINES = """
copy clearing_lines (file, number, network, network_trace_id, arn, rrn, stan, local_date,
    amount_minor, currency, settlement_minor, settlement_currency, approval_code, card_last4)
from stdin
"""

COPY_REJECTS = "copy clearing_rejects (file, number, field, reason) from stdin"

TAKE_FILE = """
with taken as (
    insert into clearing_files (id, name, version, network, file_id, business_date, sha256, status,
        records, presentments, rejected, cut_off, check_after, created)
    values (%(id)s, %(name)s, %(version)s, %(network)s, %(file_id)s, %(business_date)s, %(sha256)s,
        'loaded', %(records)s, %(presentments)s, %(rejected)s, %(cut_off)s, %(check_after)s,
        %(now)s)
    returning id
)
insert into clearing_totals (file, currency, lines, amount_minor)
select taken.id, total.currency, total.lines, total.amount_minor
from taken, unnest(cast(%(currencies)s as text[]), cast(%(lines)s as integer[]),
    cast(%(amounts)s as bigint[])) as total (currency, lines, amount_minor)
"""


class Source(Protocol):
    """A file that is being read."""

    def sets(self) -> Any:
        """Return what comes after the header, in sets."""

    def sha256(self) -> str:
        """Return the hash of what was read so far."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a file is taken, up to when it claims, and when what is not in it is missing."""

    now: datetime
    cut_off: datetime
    check_after: datetime


class ClearingStore:
    """The only owner of the tables of files, totals and rejected records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unknown(self, files: Sequence[InboxFile]) -> list[InboxFile]:
        """Return those that were not looked at before."""
        rows = await self._database.run_batch(UNKNOWN, _keys(files))
        unknown = {(row["name"], row["version"]) for row in rows}
        return [file for file in files if (file.name, file.version) in unknown]

    async def files(self, files: Sequence[InboxFile]) -> list[ClearingFile]:
        """Return what became of files."""
        rows = await self._database.run_batch(FILES, _keys(files))
        return [_clearing_file(row) for row in rows]

    async def refuse(
        self,
        file: InboxFile,
        network: str | None,
        header: FileHeader | None,
        refused: FileRejected,
        now: datetime,
    ) -> None:
        """Note why nothing of a file was applied."""
        await self._database.fetch(
            REFUSE,
            name=file.name,
            version=file.version,
            network=network,
            file_id=header.file_id if header is not None else None,
            business_date=header.business_date if header is not None else None,
            field=refused.field,
            reason=refused.reason,
            record=refused.line,
            now=now,
        )

    async def load(self, file: InboxFile, header: FileHeader, source: Source, times: Times) -> None:
        """Write a file with all its lines at once, unless it is there already.

        Raises FileRejected, at any line: then nothing was written.
        """
        async with self._database.transaction() as connection:
            await connection.exec_driver_sql(LOCK, {"lock": IMPORT_LOCK})
            named = {
                "name": file.name,
                "version": file.version,
                "network": header.network,
                "file_id": header.file_id,
            }
            before = (await connection.exec_driver_sql(TAKEN_BEFORE, named)).mappings().first()
            if before is not None and before["is_this"]:
                return
            if before is not None:
                raise FileRejected("file id", f"was taken before, from {before['name']}")
            file_key: int = (await connection.exec_driver_sql(NEXT_ID)).scalar_one()
            totals = await _copy(connection, file_key, header.network, source)
            details = {
                **named,
                "id": file_key,
                "business_date": header.business_date,
                "sha256": source.sha256(),
                "records": totals.records,
                "presentments": totals.presentments,
                "rejected": totals.rejected,
                "cut_off": times.cut_off,
                "check_after": times.check_after,
                "now": times.now,
                "currencies": [total.currency for total in totals.currencies],
                "lines": [total.count for total in totals.currencies],
                "amounts": [total.amount_minor for total in totals.currencies],
            }
            await connection.exec_driver_sql(TAKE_FILE, details)


async def _copy(
    connection: AsyncConnection, file_key: int, network: str, source: Source
) -> FileTotals:
    raw = await connection.get_raw_connection()
    driver: psycopg.AsyncConnection[TupleRow] = raw.driver_connection  # type: ignore[assignment]
    totals = None
    async for items in source.sets():
        lines = [item for item in items if isinstance(item, ClearingLine)]
        rejected = [item for item in items if isinstance(item, LineRejected)]
        await _copy_rows(driver, COPY_LINES, (_line(file_key, network, line) for line in lines))
        await _copy_rows(
            driver,
            COPY_REJECTS,
            ((file_key, one.number, one.field, one.reason) for one in rejected),
        )
        totals = _totals(items) or totals
    if totals is None:
        raise TypeError("a file that ties out has totals")
    return totals


async def _copy_rows(
    driver: psycopg.AsyncConnection[TupleRow], statement: str, rows: Iterable[tuple[object, ...]]
) -> None:
    async with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            await copy.write_row(row)


def _line(file_key: int, network: str, line: ClearingLine) -> tuple[object, ...]:
    return (
        file_key,
        line.number,
        network,
        line.network_trace_id,
        line.arn,
        line.rrn,
        line.stan,
        line.local_date,
        line.amount_minor,
        line.currency,
        line.settlement_minor,
        line.settlement_currency,
        line.approval_code,
        line.card_last4,
    )


def _totals(items: Sequence[FileItem]) -> FileTotals | None:
    last = items[-1]
    return last if isinstance(last, FileTotals) else None


def _keys(files: Sequence[InboxFile]) -> list[dict[str, object]]:
    return [{"name": file.name, "version": file.version} for file in files]


def _clearing_file(row: Any) -> ClearingFile:
    refusal = None
    if row["refused_reason"] is not None:
        refusal = Refusal(row["refused_field"], row["refused_reason"], row["refused_record"])
    return ClearingFile(
        id=row["id"],
        name=row["name"],
        network=row["network"],
        file_id=row["file_id"],
        business_date=row["business_date"],
        status=FileStatus(row["status"]),
        refusal=refusal,
        lines=row["presentments"],
        rejected=row["rejected"],
        created=row["created"],
    )
