"""Runs the migrations of edge/authz."""

from __future__ import annotations

from chassis.migrate import run_migrations

run_migrations()
