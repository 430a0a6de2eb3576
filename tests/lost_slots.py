"""Makes PostgreSQL give up a replication slot that nobody reads from."""

from __future__ import annotations

from typing import Any

import psycopg

KEPT = "32MB"  # of WAL: two segments
SEGMENTS = 4
CHECKPOINTS_MAX = 10  # the first may come before the checkpointer has read its settings again
STATUS = "select wal_status, invalidation_reason from pg_replication_slots where slot_name = %s"

Admin = psycopg.Connection[tuple[Any, ...]]


def write_wal(admin: Admin) -> str:
    """Write more WAL than slots may soon hold back; return its end."""
    for _ in range(SEGMENTS):
        admin.execute("select pg_logical_emit_message(false, 'filler', 'x')")
        admin.execute("select pg_switch_wal()")
    [(end,)] = admin.execute("select pg_current_wal_lsn()::text")
    return str(end)


def lose_slot(admin: Admin, slot: str) -> None:
    """Let slots hold back next to nothing, until this one is lost. Raises RuntimeError."""
    admin.execute(f"alter system set max_slot_wal_keep_size = '{KEPT}'".encode())
    try:
        admin.execute("select pg_reload_conf()")
        for _ in range(CHECKPOINTS_MAX):
            admin.execute("checkpoint")
            if admin.execute(STATUS, [slot]).fetchone() == ("lost", "wal_removed"):
                return
        raise RuntimeError(f"{slot} is not lost")
    finally:
        admin.execute("alter system reset max_slot_wal_keep_size")
        admin.execute("select pg_reload_conf()")
