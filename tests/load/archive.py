"""How fast the archive is written, proved and searched.

`python -m tests.load.archive 20000000` makes an archive of so many records, set-based, verifies it
and looks for payments; `python -m tests.load.archive 200000 --kafka` lets audit_svc archive so many
from a broker. It writes nothing into the tree; `docs/performance.md` is written by hand from it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from itertools import product
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from audit_svc.domain.manifest import (
    Manifest,
    data_folder,
    data_name,
    manifest_name,
    payload_of,
    sha256,
    signed,
)
from audit_svc.domain.record import Place
from audit_svc.domain.topics import BY_PAYMENT
from audit_svc.handlers.history import find
from audit_svc.handlers.verification import verify
from audit_svc.store.archive import Archive
from audit_svc.store.parquet import SCHEMA, Span, file_of, find_records, to_parquet
from chassis.clock import SystemClock
from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import Purpose
from tests.integration.audit_parts import Auditing
from tests.integration.kafka_parts import a_broker
from tests.load.report import CONSOLE
from tests.unit.audit.parts import STARTED_MS, a_change

FILE_RECORDS = 20_000
PARTITIONS = 6
CHANGES = 4  # of a payment in each topic
ROW = {
    "merchant_id": "mer_521m8dxshypwsmzqwheqkbrbdx",
    "mode": "test",
    "amount_minor": 1099,
    "currency": "usd",
    "capture_method": "automatic",
    "partial_approval": "refused",
    "description": None,
    "metadata": "{}",
    "status": "processing",
    "captures": 0,
    "version": 2,
    "created": "2026-11-27T07:16:35.000000Z",
    "latest_transaction_id": "txn_521m8dxsxx2w5zr2",
}


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.archive", description=__doc__)
    parser.add_argument("records", type=int)
    parser.add_argument("--kafka", action="store_true")
    given = parser.parse_args()
    if given.kafka:
        with tempfile.TemporaryDirectory(prefix="paymesh-archive-") as folder:
            asyncio.run(_from_kafka(Path(folder), given.records))
    else:
        measure(given.records)
    CONSOLE.print("load average: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


def measure(records: int) -> None:
    """Make an archive of so many records, verify it, and look for payments in it."""
    with tempfile.TemporaryDirectory(prefix="paymesh-archive-") as folder:
        _measure(Path(folder), records)


def _measure(folder: Path, records: int) -> None:
    keys = FileKeyStore(folder / "keys", bytes(32), SystemClock())
    keys.create_missing([Purpose.AUDIT_SIGNING])
    archive = Archive(folder.as_uri() + "/archive")
    (folder / "archive").mkdir()
    files = max(1, records // FILE_RECORDS // (len(BY_PAYMENT) * PARTITIONS))
    for topic, partition in product(BY_PAYMENT, range(PARTITIONS)):
        _write_partition(archive, keys, Place(topic, partition), files)
    size_bytes = sum(file.stat().st_size for file in (folder / "archive").rglob("*.parquet"))

    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    verdict = verify(archive, keys.verification_keys(), {})
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    assert verdict.breaks == ()
    CONSOLE.print(
        f"verify: {verdict.records:,} records, {verdict.files} files, {size_bytes / 1e6:,.0f} MB: "
        f"{took_s:.1f} s, {verdict.records / took_s:,.0f}/s, CPU {cpu_s:.1f} s"
    )
    partitions = [archive.sizes(data_folder(Place(topic, 3))) for topic in BY_PAYMENT]
    for number in (0, files // 2 * FILE_RECORDS + 7, files * FILE_RECORDS * 2):
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        found = find(archive, partitions, [_key(number).encode()], since_ms=0)
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        CONSOLE.print(f"history: {len(found)} records: {took_s:.2f} s, CPU {cpu_s:.2f} s")


def _write_partition(archive: Archive, keys: FileKeyStore, place: Place, files: int) -> None:
    """Write the files of a partition, each with other payments, as the archiver would."""
    digest = None
    for number in range(1, files + 1):
        start = (number - 1) * FILE_RECORDS
        raw = file_of(_rows(place, start), Span(start, start + FILE_RECORDS))
        manifest = Manifest(
            topic=place.topic,
            partition=place.partition,
            number=number,
            file=data_name(place, start),
            sha256=sha256(raw),
            size_bytes=len(raw),
            start=start,
            end=start + FILE_RECORDS,
            records=FILE_RECORDS,
            first_timestamp_ms=STARTED_MS + start,
            last_timestamp_ms=STARTED_MS + start + FILE_RECORDS - 1,
            archived_ms=STARTED_MS,
            previous=digest,
            beside=None,
        )
        payload = payload_of(manifest)
        told = signed(payload, keys.sign(payload))
        archive.create(manifest.file, raw)
        archive.create(manifest_name(place, number), told)
        digest = sha256(told)


def _key(number: int) -> str:
    scattered = number // CHANGES * 0x9E3779B97F4A7C15F39CC0605CEDC835
    return f"pi_{scattered % 2**104:026x}"


def _rows(place: Place, start: int) -> pa.Table:
    """Return the rows of a file: one that was made as the archiver does, under other keys."""
    model = to_parquet([a_change(0, ROW, ROW, key="pi_model", place=place)], Span(0, 1))
    [record] = find_records(pa.BufferReader(model), [b"pi_model"], 0)
    offsets = list(range(start, start + FILE_RECORDS))
    keys = pa.array([_key(offset) for offset in offsets])
    head, tail = (record.value or b"").decode().split('"created"', 1)
    value = pc.binary_join_element_wise(head, keys, f'"created"{tail}', '","id":"')
    row = pc.binary_join_element_wise(
        '{"merchant_id":"mer_521m8dxshypwsmzqwh', keys, '"}', '","id":"'
    )
    columns = {
        "topic": pa.array([place.topic] * FILE_RECORDS),
        "partition": pa.array([place.partition] * FILE_RECORDS, pa.int32()),
        "offset": pa.array(offsets),
        "timestamp": pa.array(
            [STARTED_MS + one for one in offsets], SCHEMA.field("timestamp").type
        ),
        "key": keys.cast(pa.binary()),
        "headers": pa.array([[]] * FILE_RECORDS, SCHEMA.field("headers").type),
        "value": value.cast(pa.binary()),
        "op": pa.array(["u"] * FILE_RECORDS),
        "table": pa.array([place.topic.rpartition(".")[2]] * FILE_RECORDS),
        "before": row,
        "after": row,
        "committed": pa.array(
            [(STARTED_MS + one) * 1000 for one in offsets], SCHEMA.field("committed").type
        ),
        "tx_id": pa.array(offsets),
        "lsn": pa.array(offsets),
    }
    return pa.table(columns, schema=SCHEMA)


async def _from_kafka(folder: Path, records: int) -> None:
    broker = a_broker(folder / "broker")
    (folder / "archive").mkdir()
    async with broker.running():
        large = {"PAYMESH_FILE_RECORDS_MAX": "20000", "PAYMESH_FILE_S_MAX": "60"}
        auditing = Auditing(broker, folder, (folder / "archive").as_uri(), large)
        await asyncio.to_thread(_fill, auditing, records)
        with auditing.process() as process:
            began_s = time.perf_counter()
            archived = await auditing.all_archived()
            took_s = time.perf_counter() - began_s
            cpu_s = sum(psutil.Process(process.process.pid).cpu_times()[:2])
    count = sum(len(rows) for rows in archived.values())
    CONSOLE.print(
        f"archive: {count:,} records in {took_s:.1f} s, CPU {cpu_s:.1f} s: "
        f"{cpu_s / count * 1e6:.0f} µs a record"
    )


def _fill(auditing: Auditing, records: int) -> None:
    producer = auditing.producer(compression_type="lz4", linger_ms=20)
    for number in range(records):
        key = _key(number)
        value = a_change(number, ROW | {"id": key}, ROW | {"id": key}).value
        producer.send(BY_PAYMENT[number % 3], key=key.encode(), value=value)
    producer.flush()
    producer.close()


if __name__ == "__main__":
    main()
