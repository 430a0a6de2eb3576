"""Rows as Debezium tells of them, beside the same rows as the database's client has them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any


def as_in_database(told: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a row, each column in the form that it has in the row that is kept."""
    return {name: _in_form_of(value, kept.get(name)) for name, value in told.items()}


def _in_form_of(told: Any, kept: object) -> object:
    if told is None:
        return None
    if isinstance(kept, datetime):
        return datetime.fromisoformat(told)
    if isinstance(kept, date):
        return date.fromisoformat(told.removesuffix("Z"))
    if isinstance(kept, bytes):
        return base64.b64decode(told)
    if isinstance(kept, dict | list):
        return json.loads(told)
    return told
