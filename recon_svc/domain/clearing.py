"""What a card network's clearing file says, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class LineKind(StrEnum):
    """What a line does with money."""

    PRESENTMENT = "presentment"  # the merchant's bank claims what was authorized


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Names a file. file_id: the network's own, which no other file of the network has."""

    network: str
    file_id: str
    business_date: date


@dataclass(frozen=True, slots=True)
class ClearingLine:
    """One movement. number: of its first record in the file, from 1.

    network_trace_id: what the network answered in DE63 of its 0110. local_date: of the
    authorization; in UTC. amount: what was bought for. settlement: what the network reconciles it
    as, which the file's totals count. Currencies: ISO 4217 in lower case. stan: where the format
    has it.
    """

    number: int
    kind: LineKind
    network_trace_id: str
    arn: str
    rrn: str
    stan: str | None
    local_date: date
    amount_minor: int
    currency: str
    settlement_minor: int
    settlement_currency: str
    approval_code: str
    card_last4: str | None


@dataclass(frozen=True, slots=True)
class LineRejected:
    """A record that can't be read; the others can. Holds no value of the record."""

    number: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """The presentments of one currency, as the file declares them.

    currency: ISO 4217 in lower case, or the file's own three digits if that has no such currency.
    """

    currency: str
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class FileTotals:
    """What a whole file holds, after it was found to tie out. records: with header and trailer."""

    records: int
    presentments: int
    rejected: int
    currencies: tuple[CurrencyTotal, ...]


FileItem = FileHeader | ClearingLine | LineRejected | FileTotals


class FileRejected(Exception):
    """A file that must not be applied, not even in part. Holds no value of a record.

    line: the record at which it was found out, from 1; None when it is about the whole file.
    """

    def __init__(self, field: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{field}: {reason}" + ("" if line is None else f" (record {line})"))
        self.field = field
        self.reason = reason
        self.line = line
