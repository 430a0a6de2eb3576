"""The time, as a boundary that tests can move."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the time, aware of being UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, aware of being UTC."""
        return datetime.now(UTC)
