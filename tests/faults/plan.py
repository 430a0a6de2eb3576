"""What a seed stands for: which payments are made when, and what goes wrong meanwhile. No I/O."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.networks.cards import BEHAVIORS

PAYMENTS_PER_S = 4.0
DURATION_S_MIN = 60.0
GAP_S = (1.2, 3.0)
ORDINARY_CARDS = ("4242424242424242", "5555555555554444", "2223003122003222")
ORDINARY_COPIES = 6  # beside the 42 special cards: one payment in three is ordinary
MERCHANTS = 3

Order = dict[str, object]


class Kind(StrEnum):
    """How a part is hurt."""

    KILL = "kill"  # SIGKILL; PostgreSQL gets SIGQUIT, its immediate stop
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT later
    CUT = "cut"  # every connection to a card network breaks
    LINE = "line"  # the line to a card network fails as the order says
    BLOCK = "block"  # what a service writes for its events waits; then it dies with its database
    FULL = "full"  # there is no room for what it writes: its files may not grow past a size
    KILL_WRITING = "kill-writing"  # SIGKILL with a file of the archive written and no manifest
    SLOT = "slot"  # a database's changes are read no more, and its replication slot is given up


class Ending(StrEnum):
    """What a merchant does with funds that are held for it."""

    COLLECT = "collect"
    COLLECT_PART = "collect-part"
    CANCEL = "cancel"  # also of a payment that failed and is not tried again
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. at_s: since the first payment; order: what the proxy is told."""

    at_s: float
    kind: Kind
    target: str
    for_s: float = 0.0
    order: Order = field(default_factory=dict)

    def __str__(self) -> str:
        lasts = f" for {self.for_s:.1f} s" if self.for_s else ""
        order = f" {self.order}" if self.order else ""
        return f"{self.at_s:6.1f} s  {self.kind} {self.target}{order}{lasts}"


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment and how its merchant goes about it.

    next_card: what is tried after a decline. gives_up: a lost answer is not asked for again until
    everything is healed. is_manual: an approval only holds the funds; ending: what then becomes of
    them. accepts_part: an approval of less is taken. by_token: its cards are encrypted in browsers.
    """

    number: int
    merchant: int
    starts_at_s: float
    amount_minor: int
    card: str
    next_card: str | None
    gives_up: bool
    is_manual: bool = False
    ending: Ending = Ending.LEAVE
    accepts_part: bool = False
    by_token: bool = False

    def amount_to_collect_minor(self, authorized_minor: int) -> int:
        """What the merchant collects of the funds that are held for it, if it collects any."""
        return authorized_minor * 3 // 5 if self.ending is Ending.COLLECT_PART else authorized_minor


@dataclass(frozen=True, slots=True)
class _Blow:
    kind: Kind
    target: str
    orders: tuple[Order, ...] = ()
    lasts_s: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    recovers_s: float = 4.0
    killed_meanwhile: str | None = None
    database: str | None = None

    def targets(self) -> list[str]:
        return [name for name in (self.target, self.killed_meanwhile, self.database) if name]


# Up to well over the sandbox's network timeout of 2 s.
FREEZES_S = ((0.3, 1.5), (2.5, 5.0))
RECOVERS_S = {"postgres": 6.0, "kafka": 12.0, "connect": 15.0}
# What matters most is hurt twice as often.
TWICE = ("txn_svc", "intent_svc", "recon_svc")
WRITERS = ("txn_svc", "intent_svc", "recon_svc", "webhook_svc")
READERS = ("intent_svc", "recon_svc", "webhook_svc")  # of Kafka's topics
MANUAL = 0.35  # the share of payments whose funds are only held
ACCEPTS_PART = 0.7  # the share of payments that take an approval of less
BY_TOKEN = 0.4  # the share whose cards are encrypted in a browser
MEANWHILE_S = 0.4  # before PostgreSQL is back, and before the next fault
# A sandbox archives every 10 s: in these times it has to, and goes without room for a while.
ARCHIVER = "audit_svc"
RECOVERS_ARCHIVER_S = 4.0
ARCHIVE_BLOWS: tuple[tuple[Kind, tuple[float, float]], ...] = (
    (Kind.KILL_WRITING, (15.0, 15.0)),
    (Kind.FULL, (11.0, 15.0)),
)
# Nothing at all, or the beginning of a file, or a manifest and no file.
ROOM: tuple[Order, ...] = ({"file_bytes_max": 0}, {"file_bytes_max": 2_000})

# Databases that payments change. One loses its slot, early, and has it mended when all is healed,
# which takes half a minute: a short run goes without.
SLOTS = ("intent", "txn")
SLOT_PAYMENTS_MIN = 100
SLOT_AT = (0.1, 0.4)  # of the time in which payments are begun
# Around that what captures is left alone, or no slot comes past the WAL that one is to lose.
CAPTURING = ("postgres", "kafka", "connect")
LEFT_ALONE_S = (-8.0, 20.0)

LINE_ORDERS: tuple[tuple[Order, ...], ...] = (
    ({"refuses": True},),
    ({"holds": True},),
    ({"requests": {"delay_ms": 300}}, {"requests": {"delay_ms": 2500}}),
    ({"responses": {"delay_ms": 300}}, {"responses": {"delay_ms": 2500}}),
    ({"requests": {"duplicate_every": 1}}, {"requests": {"duplicate_every": 2}}),
    ({"responses": {"duplicate_every": 1}}, {"responses": {"duplicate_every": 2}}),
    ({"requests": {"drop_every": 2}}, {"requests": {"drop_every": 3}}),
    ({"responses": {"drop_every": 2}}, {"responses": {"drop_every": 3}}),
)


def duration_s(payments: int) -> float:
    """Return over how long so many payments are begun."""
    return max(DURATION_S_MIN, payments / PAYMENTS_PER_S)


def slots_to_lose(payments: int) -> Sequence[str]:
    """Return the databases of which one loses its slot in a run of so many payments."""
    return SLOTS if payments >= SLOT_PAYMENTS_MIN else ()


def draw_payments(seed: int, count: int) -> list[Payment]:
    """Return the payments of a seed, in the order of their start."""
    chance = random.Random(f"payments {seed}")
    cards = _dealt(chance, [*BEHAVIORS, *ORDINARY_CARDS * ORDINARY_COPIES])
    starts_at_s = sorted(chance.uniform(0, duration_s(count)) for _ in range(count))
    return [
        Payment(
            number=number,
            merchant=chance.randrange(MERCHANTS),
            starts_at_s=at_s,
            amount_minor=chance.randrange(1_000, 1_000_000),
            card=next(cards),
            next_card=chance.choice(ORDINARY_CARDS) if chance.random() < 0.5 else None,
            gives_up=chance.random() < 0.15,
            is_manual=chance.random() < MANUAL,
            ending=chance.choice(list(Ending)),
            accepts_part=chance.random() < ACCEPTS_PART,
            by_token=chance.random() < BY_TOKEN,
        )
        for number, at_s in enumerate(starts_at_s)
    ]


def draw_faults(
    seed: int,
    lasts_s: float,
    processes: Sequence[str],
    networks: Sequence[str],
    slots: Sequence[str],
) -> list[Fault]:
    """Return the faults of a seed by time; none hits a part that still has another one's.

    slots: the databases of which one loses its slot, if there are any.
    """
    chance = random.Random(f"faults {seed}")
    blows = _blows(processes, networks)
    deck: list[_Blow] = []
    busy_until_s: dict[str, float] = defaultdict(float)
    faults: list[Fault] = []
    at_s = chance.uniform(*GAP_S)
    while at_s < lasts_s:
        if len(deck) < len(blows):
            deck += chance.sample(blows, len(blows))
        blow = next(
            (one for one in deck if all(busy_until_s[name] <= at_s for name in one.targets())), None
        )
        if blow is not None:
            deck.remove(blow)
            struck = list(_strike(chance, blow, at_s))
            faults += struck
            for name in blow.targets():
                busy_until_s[name] = at_s + struck[0].for_s + blow.recovers_s
        at_s += chance.uniform(*GAP_S)
    if ARCHIVER in processes:
        faults += _of_the_archive(seed, lasts_s, [one for one in faults if one.target == ARCHIVER])
    if slots:
        faults = _with_a_slot(seed, lasts_s, slots, faults)
    return sorted(faults, key=lambda fault: fault.at_s)


def _of_the_archive(seed: int, lasts_s: float, others: Sequence[Fault]) -> Iterator[Fault]:
    """Yield what goes wrong while the archive is written, when nothing else does to who writes."""
    chance = random.Random(f"faults of the archive {seed}")
    at_s, number = chance.uniform(*GAP_S), 0
    while at_s < lasts_s:
        kind, lasts = ARCHIVE_BLOWS[number % len(ARCHIVE_BLOWS)]
        until_s = at_s + lasts[1] + RECOVERS_ARCHIVER_S
        # Not `at_s - RECOVERS_ARCHIVER_S`: what was added first may leave more than there was.
        meets = [
            one for one in others if at_s < one.at_s + RECOVERS_ARCHIVER_S and one.at_s < until_s
        ]
        if meets:
            at_s = meets[-1].at_s + meets[-1].for_s + RECOVERS_ARCHIVER_S
            continue
        for_s = round(chance.uniform(*lasts), 2)
        order = chance.choice(ROOM) if kind is Kind.FULL else {}
        yield Fault(round(at_s, 2), kind, ARCHIVER, for_s, order)
        number += 1
        at_s = until_s + chance.uniform(*GAP_S)


def _with_a_slot(
    seed: int, lasts_s: float, slots: Sequence[str], others: Sequence[Fault]
) -> list[Fault]:
    chance = random.Random(f"slot {seed}")
    at_s = round(lasts_s * chance.uniform(*SLOT_AT), 2)
    earliest_s, latest_s = (at_s + by_s for by_s in LEFT_ALONE_S)
    spared = [
        other
        for other in others
        if not earliest_s < other.at_s < latest_s
        or (other.target not in CAPTURING and other.kind is not Kind.BLOCK)
    ]
    return [*spared, Fault(at_s, Kind.SLOT, chance.choice(slots))]


def _strike(chance: random.Random, blow: _Blow, at_s: float) -> Iterator[Fault]:
    for_s = round(chance.uniform(*chance.choice(blow.lasts_s)), 2)
    order = chance.choice(blow.orders) if blow.orders else {}
    yield Fault(round(at_s, 2), blow.kind, blow.target, for_s, order)
    if blow.killed_meanwhile is not None:
        yield Fault(round(at_s + MEANWHILE_S, 2), Kind.KILL, blow.killed_meanwhile)


def _blows(processes: Sequence[str], networks: Sequence[str]) -> list[_Blow]:
    blows = []
    for name in processes:
        kill = _Blow(Kind.KILL, name, recovers_s=RECOVERS_S.get(name, 4.0))
        freeze = _Blow(Kind.FREEZE, name, lasts_s=FREEZES_S)
        blows += [kill, freeze] * (2 if name in TWICE else 1)
    if "postgres" in processes:
        # What a service could not write because its database was gone dies with the service. (A
        # frozen database would still do, when it goes on, what it was told.)
        blows += [
            _Blow(Kind.KILL, "postgres", recovers_s=6.0, killed_meanwhile=name)
            for name in WRITERS
            if name in processes
        ]
        # What a service has read and not yet written dies with both.
        blows += [
            _Blow(Kind.BLOCK, name, lasts_s=((0.8, 1.6),), recovers_s=6.0, database="postgres")
            for name in READERS
            if name in processes
        ]
    for name in networks:
        blows += [_Blow(Kind.CUT, name, recovers_s=1.0)] * 2
        blows += [
            _Blow(Kind.LINE, name, orders, ((0.5, 2.0), (2.5, 5.0)), 1.0) for orders in LINE_ORDERS
        ]
        if "txn_svc" in processes:
            # What it had asked for and not yet heard of dies with it.
            slow: Order = {"responses": {"delay_ms": 1500}}
            late = ((2.5, 5.0),)
            blows += [_Blow(Kind.LINE, name, (slow,), late, killed_meanwhile="txn_svc")]
    return blows


def _dealt(chance: random.Random, cards: Sequence[str]) -> Iterator[str]:
    """Yield all cards in an order by chance, then all again in another, for ever."""
    while True:
        yield from chance.sample(cards, len(cards))
