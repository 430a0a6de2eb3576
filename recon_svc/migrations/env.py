"""Runs the migrations of recon_svc."""

from __future__ import annotations

from chassis.database import run_migrations

run_migrations()
