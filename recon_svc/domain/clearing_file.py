"""A clearing file as it lies in the inbox, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class InboxFile:
    """A file in the inbox. version: changes with its content. written: when it was put there."""

    name: str
    version: str
    size_bytes: int
    written: datetime


class FileStatus(StrEnum):
    """How far a file is."""

    LOADED = "loaded"  # its lines are written; they are matched next
    TAKEN = "taken"  # each line was matched, or waits for its own attempt
    REFUSED = "refused"  # nothing of it was applied; the network has to send it again


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file was refused. record: where it was found out, from 1; None: the whole file."""

    field: str
    reason: str
    record: int | None


@dataclass(frozen=True, slots=True)
class ClearingFile:
    """A file that was looked at. lines, rejected: records that can and can't be read."""

    id: int
    name: str
    network: str | None
    file_id: str | None
    business_date: date | None
    status: FileStatus
    refusal: Refusal | None
    lines: int
    rejected: int
    created: datetime


def network_of(name: str, networks: Iterable[str]) -> str | None:
    """Return the network that a file's name begins with, e.g. "visa_sim-20261126-001.tc33"."""
    found = [network for network in networks if name.startswith(f"{network}-")]
    return max(found, key=len, default=None)
