"""What a run left behind, as plain values: what was asked, told, stored, published and booked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.faults.plan import Payment

Name = tuple[str, str]  # a row's table, e.g. "txn.attempts", and its id


class Step(StrEnum):
    """What a merchant asks for."""

    CREATE = "create"
    CHARGE = "charge"
    CHARGE_AGAIN = "charge-again"  # another card after a decline, with another key
    CAPTURE = "capture"
    CAPTURE_AGAIN = "capture-again"  # after the network refused the first, with another key
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that a merchant may rely on. status: of HTTP."""

    status: int
    body: dict[str, Any]

    @property
    def is_ok(self) -> bool:
        """Whether what was asked for is done."""
        return self.status == 200

    @property
    def is_token_lost(self) -> bool:
        """Whether nothing was charged for a token that a crash of its database took away."""
        code: object = self.body.get("error", {}).get("code")
        return code == "card_token_unknown"

    @property
    def object_id(self) -> str:
        """The id of what was made."""
        return str(self.body.get("id"))


@dataclass(slots=True)
class Request:
    """One request under one idempotency key, however often it was sent.

    An intent that it creates has the key as its description. intent_id: the one that it is about,
    empty where it creates one. told: the answer while things went wrong; told_later: the answer
    after healing, for a request that had none. found_before: ids of what existed for it before it
    was sent again.
    """

    payment: Payment
    step: Step
    merchant_id: str
    key: str
    path: str
    body: dict[str, Any]
    intent_id: str = ""
    tries: int = 0
    told: Told | None = None
    told_later: Told | None = None
    found_before: list[str] = field(default_factory=list)

    @property
    def last_told(self) -> Told | None:
        """Return the answer that counts."""
        return self.told or self.told_later


@dataclass(frozen=True, slots=True)
class Intent:
    """A payment intent in the intent database.

    amount_authorized_minor: what the issuer approved. is_due: something is to be done unasked.
    """

    id: str
    merchant_id: str
    description: str
    status: str
    amount_minor: int
    amount_authorized_minor: int
    amount_captured_minor: int
    version: int
    is_due: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a network's word is still waited for, or held funds are still to be released."""
        is_releasing = self.status == "canceled" and self.is_due
        return self.status in {"processing", "capturing"} or is_releasing


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction in the txn database. approved_minor: what the issuer approved, or 0."""

    id: str
    merchant_id: str
    intent_id: str
    key: str
    status: str
    approved_minor: int = 0

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still waited for."""
        return self.status in {"pending", "pending_verification"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt in the txn database.

    reversal: how far its undoing is, if it is undone. capture_number: which capture of its
    authorization it is, from 1; 0 for the authorization itself.
    """

    id: str
    transaction_id: str
    intent_id: str
    network: str
    rrn: str
    status: str
    version: int
    reversal: str | None = None
    capture_number: int = 0

    @property
    def is_open(self) -> bool:
        """Whether its outcome or its undoing is still waited for."""
        return self.status in {"recorded", "timeout"} or self.reversal in {"pending", "overdue"}


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What a network's issuer has in its own books.

    held_minor, captured_minor: what waits for a capture, and what goes to the merchant. clearing: a
    `sandbox.networks.cards.Clearing`, what the network's file makes of it.
    """

    network: str
    rrn: str
    held_minor: int
    captured_minor: int
    approved: bool
    reversed: bool
    clearing: str = "once"

    @property
    def is_charged(self) -> bool:
        """Whether the customer pays, now or once it is captured."""
        return self.approved and not self.reversed


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a row on the audit trail; before, after: its status, None where it was not.

    table: e.g. "txn.attempts". version: 1 where rows have none. at_ms: when it was committed.
    is_reread: the row was read from its table since changes of it were lost; then `before` is None.
    """

    table: str
    partition: int
    offset: int
    id: str
    intent_id: str
    before: str | None
    after: str | None
    version: int
    at_ms: int
    is_reread: bool = False

    @property
    def name(self) -> Name:
        """Which row it is of."""
        return self.table, self.id


@dataclass(frozen=True, slots=True)
class Event:
    """A domain event in Kafka. object_id, status: of the intent, the attempt or the transaction."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    type: str
    object_id: str
    version: int
    status: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A merchant's webhook endpoint. types: what it subscribes to."""

    merchant_id: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it arrived at a merchant."""

    merchant_id: str
    event_id: str
    type: str
    intent_id: str
    version: int
    status: str
    is_signed: bool


@dataclass(frozen=True, slots=True)
class Break:
    """A difference that reconciliation found. intent_id: None where it is about no payment."""

    kind: str
    network: str
    intent_id: str | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """What the clearing files of one network came to, in lines and minor units.

    in_breaks: of all breaks that a line is in.
    """

    network: str
    declared: tuple[int, int]
    matched: tuple[int, int]
    waiting: tuple[int, int]
    rejected: tuple[int, int]
    in_breaks: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A record in a partition: where, and a hash of what it is."""

    offset: int
    digest: str


@dataclass(frozen=True, slots=True)
class Archived:
    """What the archive holds and what Kafka holds, by partition. broken: files, and why."""

    in_kafka: dict[str, list[Place]]
    archived: dict[str, list[Place]]
    broken: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of a payment: as the database has it, and as the payment's history tells of it.

    table: e.g. "txn.attempts". Either is None where there is no such row, or none any more.
    gap: where the history does not hold together. is_reread: it says that changes are missing, and
    that the row was read again since. changed_us: when its last change was committed, by the
    database's clock.
    """

    table: str
    id: str
    kept: dict[str, Any] | None
    told: dict[str, Any] | None
    gap: str | None = None
    is_reread: bool = False
    changed_us: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What a lost slot of a database left out, as the repair tells of it.

    Times are the database's, microseconds since 1970: nothing was captured from since_us until the
    repair made a new slot, between begun_us and ended_us. reread: the rows that it found incomplete
    and had read again. gone: those that can't be. minutes: those since 1970 in which it found
    something missing. failure: why it did not come to its end.
    """

    service: str
    since_us: int
    begun_us: int
    ended_us: int
    is_slot_new: bool = False
    reread: set[Name] = field(default_factory=set)
    gone: frozenset[Name] = frozenset()
    minutes: set[int] = field(default_factory=set)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Captured:
    """How the capture of a database is in the end: what it has not, or otherwise.

    states: of its connector and its task. slot: PostgreSQL's `wal_status`. rows: how many were
    compared. gone: rows that are captured, and neither there nor captured as deleted.
    """

    service: str
    states: list[str]
    slot: str | None
    rows: int
    lost: frozenset[Name]
    gone: frozenset[Name]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the checks look at. captures: of all databases, if one lost its slot.

    outbox: ids of all events that were written, and when, microseconds since 1970. relayed: how
    many of them services brought to Kafka themselves at most, and so may be there twice.
    """

    requests: list[Request]
    intents: list[Intent]
    transactions: list[Transaction]
    attempts: list[Attempt]
    outbox: dict[str, int]
    relayed: int
    ledger: list[LedgerRow]
    changes: list[Change]
    events: list[Event]
    endpoints: list[Endpoint]
    deliveries: list[Delivery]
    breaks: list[Break]
    cleared: list[Cleared]
    archive: Archived
    rows: list[Kept]
    gaps: list[Gap]
    captures: list[Captured]
