"""Two parts of the benchmark about outcomes that are not known at once."""

from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sandbox.networks.cards import BEHAVIORS, Behavior, Delivery
from sandbox.state import StateDir
from tests.faults.certainty import Certainty, certainties
from tests.faults.gather import Trail, outbox
from tests.faults.mesh import Mesh
from tests.load.backlog import ATTEMPTS, REQUESTS, Watch, trends, with_requests
from tests.load.bench import Bench
from tests.load.measure import Usage
from tests.load.report import (
    SILENT,
    print_certainty,
    print_cores,
    print_latency,
    print_rate,
    print_trends,
)
from tests.load.requests import APPROVED, Request, charge, create
from tests.load.vegeta import Attack

ORDINARY = (APPROVED, "5555555555554444")
UNANSWERED = {Delivery.LOST, Delivery.LATE, Delivery.DROPPED, Delivery.CLOSED}
UNKNOWN_CARDS = [pan for pan, card in BEHAVIORS.items() if card.delivery in UNANSWERED]
LOST = ("4000000000990012", "5200000000990017")  # approved, the answer is lost
UNKNOWN_SHARE = 0.3  # while time to certainty is measured
LOST_SHARE = 0.05
WARMING_S = 20.0
IN_FLIGHT_MAX = 1_024  # requests; more than that are not sent in time
NETWORKS = {"4": "visa_sim", "5": "mastercard_sim"}


def certainty(bench: Bench, rate: int, seconds: int) -> None:
    """How long outcomes stay unknown, by network and by what it does, at a modest load."""
    payments = _payments(bench, _mixed(UNKNOWN_CARDS, UNKNOWN_SHARE), rate * seconds)
    with Watch(bench.status) as watch:
        watch.empty_at_s(time.time())
        results = bench.attack(Attack(payments.requests, rate=rate * 2, seconds=seconds))
        watch.empty_at_s(time.time())
    print_latency(f"{rate} payments/s, {UNKNOWN_SHARE:.0%} without an answer in time", results)
    found: dict[tuple[str, str], list[Certainty]] = defaultdict(list)
    for end in _ends(bench):
        if end.intent_id in payments.cards:
            found[_kind(payments.cards[end.intent_id])].append(end)
    print_certainty(found)


def backlog(bench: Bench, rate: int, seconds: int) -> None:
    """Whether a backlog grows under a steady load, one charge in twenty without an answer."""
    payments = _payments(bench, _mixed(LOST, LOST_SHARE), rate * seconds)
    attack = Attack(payments.requests, rate=rate * 2, seconds=seconds, workers=IN_FLIGHT_MAX)
    with Watch(bench.status) as watch:
        watch.empty_at_s(time.time())
        before = Usage.now(bench.status)
        results = bench.attack(attack)
        spent = Usage.now(bench.status) - before
        answered_at_s = max(result.answered_at_s for result in results)
        empty_after_s = watch.empty_at_s(answered_at_s) - answered_at_s
    begun_s = min(result.sent_at_s for result in results)
    measured = [
        with_requests(reading, results, rate * 2)
        for reading in watch.readings
        if begun_s + WARMING_S < reading.at_s < begun_s + seconds
    ]
    print_latency(f"open loop, {rate} payments/s, {LOST_SHARE:.0%} without an answer", results)
    print_rate(results)
    print_cores(spent, seconds)
    arrives_per_s = {
        REQUESTS: rate * 2,
        **{f"{service}, recorded": rate for service in ATTEMPTS},
        **{f"{service}, timeout": rate * LOST_SHARE for service in ATTEMPTS},
    }
    print_trends(trends(measured, arrives_per_s), empty_after_s)


@dataclass(frozen=True, slots=True)
class _Payments:
    """Payments to be sent. cards: by the id of the intent that is charged."""

    requests: list[Request]
    cards: dict[str, str]


def _payments(bench: Bench, cards: Iterator[str], count: int) -> _Payments:
    """Return payments: each a create, and the charge of an intent that was made before."""
    payments = _Payments([], {})
    for owner, intent_id in bench.created(count):
        number = next(cards)
        payments.cards[intent_id] = number
        payments.requests.append(create(bench.edge, next(bench.merchants)))
        payments.requests.append(charge(bench.edge, owner, intent_id, number))
    return payments


def _mixed(special: Sequence[str], share: float) -> Iterator[str]:
    """Yield ordinary cards and evenly, in the same order each time, this share of special ones."""
    chance = random.Random("cards")
    dealt, ordinary = itertools.cycle(special), itertools.cycle(ORDINARY)
    while True:
        yield next(dealt) if chance.random() < share else next(ordinary)


def _ends(bench: Bench) -> Iterable[Certainty]:
    trail = Trail(bench.status)
    try:
        trail.read_until(outbox(Mesh(StateDir(bench.sandbox.folder))))
    finally:
        trail.close()
    return certainties(trail.changes)


def _kind(pan: str) -> tuple[str, str]:
    """Return the network and what it does about a card."""
    return NETWORKS[pan[0]], _in_words(BEHAVIORS.get(pan, Behavior()))


def _in_words(card: Behavior) -> str:
    if card.delivery not in UNANSWERED:
        return "ordinary, on a connection that was closed"
    declined = "declined, " if card.response_code != "00" else ""
    silent = f", and to {SILENT}" if card.silent_inquiries else ""
    return f"{declined}{card.delivery}{silent}"
