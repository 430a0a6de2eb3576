"""Writes the OpenAPI document of what the edge serves, from the contracts and the edge's configuration."""

from __future__ import annotations

from pathlib import Path


def write_openapi(documented: Path, edge: Path, output: Path) -> None:
    """Write nothing yet."""
