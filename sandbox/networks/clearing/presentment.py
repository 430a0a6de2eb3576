"""What a clearing file holds in any format: its name, what is presented, what it sums to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sandbox.networks.cards import Clearing
from sandbox.networks.ledger import Row

TOO_HIGH_BY = 100
SALE_OF_THE_ACQUIRER = "7"  # first digit of an acquirer reference number


@dataclass(frozen=True, slots=True)
class FileName:
    """Names a file: one network's file of a business day. number: from 1, each day anew."""

    network: str
    business_date: date
    number: int

    def __str__(self) -> str:
        return f"{self.network}-{self.business_date:%Y%m%d}-{self.number:03d}"


@dataclass(frozen=True, slots=True)
class Presentment:
    """One claim for money. card: masked. currency: the three digits of ISO 4217."""

    card: str
    amount: int
    currency: str
    at: datetime
    mcc: str
    card_acceptor: str
    arn: str
    rrn: str
    stan: str
    approval_code: str
    trace_id: str


@dataclass(slots=True)
class Totals:
    """What was written. sums: by currency number, how many presentments and their amount."""

    lines: int = 0
    arns: int = 0
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, presentment: Presentment) -> None:
        """Count a presentment."""
        self.lines += 1
        self.arns += int(presentment.arn)
        count, amount = self.sums.get(presentment.currency, (0, 0))
        self.sums[presentment.currency] = (count + 1, amount + presentment.amount)


def presentments(name: FileName, rows: Iterable[Row]) -> Iterator[Presentment]:
    """Return what a file says of these rows; cards that misbehave in clearing do so here."""
    for place, row in enumerate(rows, 1):
        presented = Presentment(
            card=row.card.replace("…", "******"),
            amount=row.captured + (TOO_HIGH_BY if row.clearing == Clearing.OVER else 0),
            currency=row.currency,
            at=transmitted(row.transmitted_at, name.business_date),
            mcc=row.mcc or "0000",
            card_acceptor=row.card_acceptor,
            arn=acquirer_reference(row.acquirer, name, place),
            rrn=row.rrn,
            stan=row.stan,
            approval_code=row.approval_code,
            trace_id=row.trace_id,
        )
        yield presented
        if row.clearing == Clearing.TWICE:
            yield presented


def acquirer_reference(acquirer: str, name: FileName, place: int) -> str:
    """Return an ARN of 23 digits: kind, acquirer, day (YDDD), film locator, Luhn check digit."""
    day = name.business_date
    payload = (
        f"{SALE_OF_THE_ACQUIRER}{acquirer:0>6.6}{day.year % 10}{day:%j}"
        f"{name.number % 1000:03d}{place:08d}"
    )
    doubled = (int(digit) * (2 - index % 2) for index, digit in enumerate(reversed(payload)))
    return f"{payload}{-sum(value // 10 + value % 10 for value in doubled) % 10}"


def transmitted(month_to_second: str, business_date: date) -> datetime:
    """Return the moment of a DE7 (MMDDhhmmss UTC), in the year that is nearest to the day."""
    noon = datetime(business_date.year, business_date.month, business_date.day, 12, tzinfo=UTC)
    moments = []
    for year in (noon.year - 1, noon.year, noon.year + 1):
        try:
            moments.append(datetime.strptime(f"{year}{month_to_second}Z", "%Y%m%d%H%M%S%z"))
        except ValueError:  # the year has no 29 February
            continue
    return min(moments, key=lambda moment: abs(moment - noon))
