"""Runs the migrations of webhook_svc."""

from __future__ import annotations

from chassis.migrate import run_migrations

run_migrations()
