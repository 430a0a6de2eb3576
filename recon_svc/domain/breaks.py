"""Differences between our books and a card network's, and what to do about each kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from chassis.errors import DomainError, Kind


class BreakKind(StrEnum):
    """In which way the two sides differ."""

    MISSING_AT_NETWORK = "missing_at_network"
    MISSING_AT_US = "missing_at_us"
    AMOUNT_OVER = "amount_over"
    AMOUNT_UNDER = "amount_under"
    CURRENCY_MISMATCH = "currency_mismatch"
    DUPLICATE_LINE = "duplicate_line"
    PRESENTMENT_WITHOUT_AUTHORIZATION = "presentment_without_authorization"
    PRESENTMENT_AFTER_REVERSAL = "presentment_after_reversal"
    REVERSAL_OVERDUE = "reversal_overdue"
    LATE_FILE = "late_file"
    CAPTURE_OVERDUE = "capture_overdue"


PROPOSED_ACTIONS: dict[BreakKind, str] = {
    BreakKind.MISSING_AT_NETWORK: (
        "Look for the payment among the file's rejected records and in the next file. If it is in "
        "neither, ask the network to present it; until then its money does not arrive."
    ),
    BreakKind.MISSING_AT_US: (
        "Look for the RRN in our logs and with the network. If no merchant of ours asked for it, "
        "dispute the line."
    ),
    BreakKind.AMOUNT_OVER: (
        "Ask the network for a credit of what it claims too much; the customer is charged more "
        "than was agreed."
    ),
    BreakKind.AMOUNT_UNDER: (
        "Ask the network to present the rest, or accept the loss and tell the merchant."
    ),
    BreakKind.CURRENCY_MISMATCH: "Dispute the line and have it presented in the right currency.",
    BreakKind.DUPLICATE_LINE: "Dispute the second line; the customer would be charged twice.",
    BreakKind.PRESENTMENT_WITHOUT_AUTHORIZATION: (
        "Dispute the line: we told the merchant that the payment failed. Refund the customer if "
        "the network insists."
    ),
    BreakKind.PRESENTMENT_AFTER_REVERSAL: (
        "Dispute the line with the reversal as evidence. Refund the customer if the network "
        "insists."
    ),
    BreakKind.REVERSAL_OVERDUE: (
        "Call the network: it does not acknowledge the reversal, which is repeated meanwhile. The "
        "customer's money is held until it does."
    ),
    BreakKind.LATE_FILE: "Ask the network for its file of this business date.",
    BreakKind.CAPTURE_OVERDUE: (
        "Call the network: it does not acknowledge the capture, which is repeated meanwhile. The "
        "merchant does not get the money until it does."
    ),
}


class BreakStatus(StrEnum):
    """Whether a person still has to look at a break."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which breaks to list; what is None does not matter.

    business_date_from, business_date_to: the first and the last, both included. starting_after: the
    last break of the page before; empty for the first page.
    """

    kind: BreakKind | None = None
    network: str | None = None
    status: BreakStatus | None = BreakStatus.OPEN
    owner: str | None = None
    business_date_from: date | None = None
    business_date_to: date | None = None
    limit: int = 100
    starting_after: str = ""


@dataclass(frozen=True, slots=True)
class NewBreak:
    """A difference that was found. subject: what it is about; one break per kind and subject."""

    kind: BreakKind
    subject: str
    network: str
    business_date: date
    merchant_id: str | None = None
    payment_intent_id: str | None = None
    attempt_id: str | None = None
    file: int | None = None
    line: int | None = None
    our_amount_minor: int | None = None
    our_currency: str | None = None
    their_amount_minor: int | None = None
    their_currency: str | None = None


@dataclass(frozen=True, slots=True)
class OurSide:
    """The attempt as we know it now."""

    merchant_id: str
    payment_intent_id: str
    attempt_id: str
    amount_minor: int
    currency: str
    status: str
    reversal: str | None
    response_code: str | None
    approval_code: str | None
    network_trace_id: str | None
    stan: str
    rrn: str
    created: datetime


@dataclass(frozen=True, slots=True)
class TheirSide:
    """The line of the network's file."""

    file: str
    line: int
    amount_minor: int
    currency: str
    network_trace_id: str
    arn: str
    rrn: str
    stan: str | None
    approval_code: str
    local_date: date


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a break ended: who decided, and why."""

    resolved_by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Break:
    """A difference as a person sees it."""

    id: str
    kind: BreakKind
    network: str
    business_date: date
    created: datetime
    owner: str | None
    ours: OurSide | None
    theirs: TheirSide | None
    resolution: Resolution | None


class BreakAlreadyResolved(DomainError):
    """What was decided stays as it is."""

    kind, reason = Kind.WRONG_STATE, "BREAK_ALREADY_RESOLVED"

    def __init__(self) -> None:
        super().__init__("This break is resolved already.", param="break_id")
