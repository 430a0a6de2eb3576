"""Runs the migrations of edge/authz."""

from __future__ import annotations

from chassis.database import run_migrations

run_migrations()
