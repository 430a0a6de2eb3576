"""Whether a file is whole: its order, its message numbers, its totals."""

from __future__ import annotations

from collections import Counter

from recon_svc.clearing.records import Fact, Header, Parsed, Trailer
from recon_svc.domain.clearing import (
    ClearingLine,
    CurrencyTotal,
    FileHeader,
    FileRejected,
    FileTotals,
    LineRejected,
)

HASH_MODULUS = 10**16


class FileCheck:
    """Takes the records of a file in order and remembers only what they sum to."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._header: FileHeader | None = None
        self._trailer: Trailer | None = None
        self._declared: dict[str, CurrencyTotal] = {}
        self._counts: Counter[str] = Counter()
        self._amounts: Counter[str] = Counter()
        self._arns = 0
        self._rejected = 0
        self._records = 0
        self._message_number = 0

    def accept(self, parsed: Parsed) -> list[FileHeader | ClearingLine | LineRejected]:
        """Return what the caller may see of a record. Raises FileRejected."""
        if self._trailer is not None:
            raise FileRejected("trailer", "is followed by records", parsed.unit_number)
        self._records += parsed.records
        self._check_message_number(parsed)
        shown = (self._take(fact, parsed.unit_number) for fact in parsed.facts)
        return [item for item in shown if item is not None]

    def finish(self) -> FileTotals:
        """Return the totals after the last record. Raises FileRejected if they don't tie out."""
        if self._header is None:
            raise FileRejected("header", "is missing")
        if self._trailer is None:
            raise FileRejected("trailer", "is missing")
        self._check_trailer(self._header, self._trailer)
        for currency in sorted({*self._declared, *self._counts}):
            self._check_currency(currency)
        declared = sum(total.count for total in self._declared.values())
        if not self._counts.total() <= declared <= self._counts.total() + self._rejected:
            raise FileRejected("count of presentments", "differs from the file's own")
        return FileTotals(
            records=self._records,
            presentments=self._counts.total(),
            rejected=self._rejected,
            currencies=tuple(self._declared.values()),
        )

    def _check_message_number(self, parsed: Parsed) -> None:
        number = parsed.message_number
        if number is None:
            return
        if number <= self._message_number:
            reason = "is repeated or out of order"
            raise FileRejected("message number", reason, parsed.unit_number)
        self._message_number = number

    def _take(self, fact: Fact, number: int) -> FileHeader | ClearingLine | LineRejected | None:
        if isinstance(fact, Header):
            return self._open(fact, number)
        if self._header is None:
            raise FileRejected("header", "is missing", number)
        match fact:
            case ClearingLine():
                return self._count(fact)
            case LineRejected():
                self._rejected += 1
                return fact
            case CurrencyTotal():
                if fact.currency in self._declared:
                    raise FileRejected("currency total", "is repeated", number)
                self._declared[fact.currency] = fact
            case Trailer():
                self._trailer = fact
        return None

    def _open(self, fact: Header, number: int) -> FileHeader:
        if self._header is not None:
            raise FileRejected("header", "is repeated", number)
        self._header = FileHeader(self._network, fact.file_id, fact.business_date)
        return self._header

    def _count(self, line: ClearingLine) -> ClearingLine:
        self._counts[line.settlement_currency] += 1
        self._amounts[line.settlement_currency] += line.settlement_minor
        self._arns += int(line.arn)
        return line

    def _check_trailer(self, header: FileHeader, trailer: Trailer) -> None:
        if trailer.file_id != header.file_id:
            raise FileRejected("file id", "differs between header and trailer")
        if trailer.records != self._records:
            raise FileRejected("count of records", "differs from the file's own")
        if self._rejected:
            return  # what can't be read is in their totals and can't be in ours
        if trailer.lines is not None and trailer.lines != self._counts.total():
            raise FileRejected("count of presentments", "differs from the file's own")
        if trailer.hash_total is not None and trailer.hash_total != self._arns % HASH_MODULUS:
            raise FileRejected("hash total", "differs from the file's own")

    def _check_currency(self, currency: str) -> None:
        """Their sum has to be ours, or more by what can't be read."""
        declared = self._declared.get(currency, CurrencyTotal(currency, 0, 0))
        unread = declared.count - self._counts[currency]
        missing_minor = declared.amount_minor - self._amounts[currency]
        if unread < 0 or unread > self._rejected:
            raise FileRejected(
                "count of presentments", f"differs from the file's own in {currency}"
            )
        if missing_minor < 0 or (unread == 0 and missing_minor):
            raise FileRejected("sum of amounts", f"differs from the file's own in {currency}")
