"""Heartbeats of the databases as the last consumer knows them, and when it calls one silent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

SILENT_AFTER = timedelta(seconds=4)  # they come every second, so silence is told of in five
HEARD_AT = timedelta(seconds=2)  # less, or capture that is slow would fall silent at each beat


class Heartbeats:
    """The newest heartbeat of each database. began: what stands for one that has not come yet."""

    def __init__(self, databases: Iterable[str], began: datetime) -> None:
        self._newest = dict.fromkeys(databases, began)
        self._silent: set[str] = set()

    def take(self, database: str, beaten: datetime, now: datetime) -> None:
        """Note a heartbeat that comes now. beaten: when the database had it, by its own clock."""
        self._newest[database] = min(beaten, now)

    def ages(self, now: datetime) -> dict[str, timedelta]:
        """Return how old the newest heartbeat of each database is."""
        return {each: now - newest for each, newest in self._newest.items()}

    def turned(self, now: datetime) -> tuple[set[str], set[str]]:
        """Return which databases fell silent since the last call, and which are heard again."""
        silent = {
            each
            for each, age in self.ages(now).items()
            if age > (HEARD_AT if each in self._silent else SILENT_AFTER)
        }
        fell, heard = silent - self._silent, self._silent - silent
        self._silent = silent
        return fell, heard
